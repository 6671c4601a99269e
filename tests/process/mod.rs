//! The real program: killed, stopped, misconfigured, used.

mod backfill;
mod bench;
mod cli;
mod connections;
mod demo;
mod memory;
mod schedules;
mod settings;
mod systemd;
mod traces;
mod up;
mod worker;
