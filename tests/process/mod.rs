//! The real program: killed, stopped, misconfigured, used.

mod adopt;
mod backfill;
#[cfg(feature = "bench")]
mod bench;
mod cli;
mod cli_audit;
mod cli_messages;
mod connections;
mod crash;
mod demo;
mod interrupted;
mod key_rotation;
mod memory;
mod migrate;
mod output;
mod rejects;
mod remote;
mod remote_proxy;
mod remote_scene;
mod remote_tenants;
mod schedules;
mod secret_key;
mod serve;
mod settings;
mod systemd;
#[cfg(feature = "otlp")]
mod traces;
mod up;
mod users;
mod worker;
