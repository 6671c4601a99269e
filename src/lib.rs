//! Weirgate: the service.
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod app;
pub mod bench;
pub mod cli;
pub mod client;
pub mod commands;
pub mod config;
pub mod database;
pub mod home;
pub mod http;
mod logging;
pub mod metrics;
pub mod mock_data;
pub mod open_files;
pub mod output;
pub mod postgres;
mod queues;
mod random;
mod schedules;
mod schema;
pub mod seed;
pub mod server;
pub mod signals;
mod systemd;
pub mod traces;
pub mod worker;
