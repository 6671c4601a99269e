//! The service: its HTTP surface, its program and its dashboard, with all domains. One binary for
//! all tests that need a Postgres, as few binaries link faster; it starts its own.

mod browser;
mod database;
mod docs;
mod domains;
mod http;
mod postgres;
mod process;
mod support;
