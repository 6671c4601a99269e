//! The real program: killed, stopped, misconfigured, used.

mod cli;
mod demo;
mod schedules;
mod settings;
mod up;
mod worker;
