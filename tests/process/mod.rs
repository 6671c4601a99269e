//! The real program: killed, stopped, misconfigured, used.

mod backfill;
mod bench;
mod cli;
mod crash;
mod demo;
mod migrate;
mod schedules;
mod serve;
mod settings;
mod systemd;
mod traces;
mod up;
mod worker;
