//! Weirgate: the service, which runs the domains of `jobs/` on the engine.
//!
//! | module | what it is about |
//! |---|---|
//! | [`program`], [`cli`], [`commands`], [`output`] | the command line; what each command does, on the database or on a server elsewhere ([`client`]) |
//! | [`config`], [`home`], [`database`], [`schema`] | settings; the private home; the connection; migrations |
//! | [`domains`], [`operations`] | the domains that are served, and what the service itself runs as jobs |
//! | [`http`], [`server`], [`worker`], [`app`] | the API with its dashboard; the processes that answer and work |
//! | `limits`, `pauses`, `queues`, `schedules`, `sealed` | what commands, pages and HTTP all do |
//! | [`metrics`], [`traces`], `logging` | what is told to monitoring |
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
mod sealed;
pub mod seed;
pub mod server;
pub mod signals;
mod systemd;
pub mod traces;
pub mod worker;
