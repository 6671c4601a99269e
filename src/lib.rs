//! Weirgate: the service.
#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod app;
pub mod cli;
pub mod client;
pub mod commands;
pub mod config;
pub mod database;
pub mod domains;
pub mod home;
pub mod http;
mod limits;
mod logging;
pub mod metrics;
pub mod open_files;
pub mod operations;
pub mod output;
mod pauses;
pub mod program;
mod queues;
mod random;
mod schedules;
pub mod schema;
pub mod seed;
pub mod server;
pub mod signals;
mod systemd;
pub mod traces;
pub mod worker;
