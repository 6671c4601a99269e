//! Weirgate: the service.
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod api_keys;
pub mod app;
mod audit;
pub mod bench;
pub mod cli;
pub mod client;
pub mod commands;
pub mod config;
pub mod connections;
pub mod database;
pub mod domain;
pub mod domains;
pub mod home;
pub mod http;
mod logging;
pub mod metrics;
pub mod operations;
pub mod output;
pub mod plan;
mod queues;
mod random;
mod rejects;
mod schedules;
mod schema;
pub mod seed;
pub mod server;
pub mod signals;
mod systemd;
mod tenants;
pub mod traces;
pub mod users;
pub mod worker;
