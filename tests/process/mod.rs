//! The real program: killed, stopped, misconfigured, used.

mod backfill;
mod cli;
mod demo;
mod schedules;
mod settings;
mod traces;
mod up;
mod worker;
