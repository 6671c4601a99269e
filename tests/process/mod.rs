//! The real program: killed, stopped, misconfigured, used.

mod backfill;
mod bench;
mod cli;
mod connections;
mod crash;
mod demo;
mod memory;
mod migrate;
mod schedules;
mod serve;
mod settings;
mod systemd;
mod traces;
mod up;
mod worker;
