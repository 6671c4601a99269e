//! `schedules`.

use clap::{Args, Subcommand};
use weirgate_queue::schedule::Missed;

/// What can be done with schedules.
#[derive(Debug, Subcommand)]
pub enum Schedules {
    /// List them, each with its next run
    #[command(after_help = "Example:\n  weirgate schedules list")]
    List,
    /// Enqueue what it would enqueue at this moment; its own times stay as they are
    #[command(after_help = "\
Examples:
  weirgate schedules run daily_pipeline
  weirgate schedules run daily_pipeline --tenant tenant_demo_cca")]
    Run {
        /// Its name
        name: String,
        /// Slug or UUID of a tenant; for all that it is for without one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Change its times and what happens to those that were missed; what is left out stays as it is
    #[command(after_help = "\
Examples:
  weirgate schedules set daily_pipeline --cron '0 30 1 * * *'
  weirgate schedules set daily_pipeline --time-zone Europe/Berlin
  weirgate schedules set daily_pipeline --time-zone each --missed all --missed-limit 7")]
    Set(SetSchedule),
    /// Let one do nothing until it is resumed
    #[command(after_help = "Example:\n  weirgate schedules pause daily_pipeline")]
    Pause {
        /// Its name
        name: String,
    },
    /// Let one go on; what it missed stays missed
    #[command(after_help = "Example:\n  weirgate schedules resume daily_pipeline")]
    Resume {
        /// Its name
        name: String,
    },
}

/// Options of `schedules set`.
#[derive(Debug, Args)]
pub struct SetSchedule {
    /// Its name
    pub name: String,
    /// Second, minute, hour, day of month, month, day of week, such as '0 30 1 * * *'; of five fields, the second is 0
    #[arg(long)]
    pub cron: Option<String>,
    /// IANA time zone that the times are read in, such as Europe/Berlin; each means each tenant's own
    #[arg(long)]
    pub time_zone: Option<String>,
    /// What happens to runs that are over a minute late: skip, one (the newest) or all
    #[arg(long)]
    pub missed: Option<Missed>,
    /// With all: at most so many, the newest
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub missed_limit: Option<u16>,
}
