//! One binary for all tests that need a Postgres; it starts its own.

mod browser;
mod database;
mod docs;
mod domains;
mod engine;
mod http;
mod jobs;
mod postgres;
mod process;
mod support;
