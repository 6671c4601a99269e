//! The real program: killed, stopped, misconfigured, used.

mod backfill;
mod cli;
mod demo;
mod settings;
mod up;
mod worker;
