//! `schedules`.

use clap::{Args, Subcommand};
use weirgate_queue::schedule::Missed;

/// What can be done with schedules.
#[derive(Debug, Subcommand)]
pub enum Schedules {
    /// List the schedules, each with its next run
    #[command(after_help = "Example:\n  weirgate schedules list")]
    List,
    /// Run a schedule now; its own times do not change
    #[command(after_help = "\
Examples:
  weirgate schedules run daily_pipeline
  weirgate schedules run daily_pipeline --tenant tenant_demo_cca")]
    Run {
        /// Name of the schedule
        name: String,
        /// Slug or UUID of a tenant [default: all tenants of the schedule]
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Change the times of a schedule and how it catches up; what is left out stays as it is
    #[command(after_help = "\
Examples:
  weirgate schedules set daily_pipeline --cron '0 30 1 * * *'
  weirgate schedules set daily_pipeline --time-zone Europe/Berlin
  weirgate schedules set daily_pipeline --time-zone each --missed all --missed-limit 7")]
    Set(SetSchedule),
    /// Pause a schedule
    #[command(after_help = "Example:\n  weirgate schedules pause daily_pipeline")]
    Pause {
        /// Name of the schedule
        name: String,
    },
    /// Resume a paused schedule; runs missed meanwhile are not made up
    #[command(after_help = "Example:\n  weirgate schedules resume daily_pipeline")]
    Resume {
        /// Name of the schedule
        name: String,
    },
}

/// Options of `schedules set`.
#[derive(Debug, Args)]
pub struct SetSchedule {
    /// Name of the schedule
    pub name: String,
    /// Second, minute, hour, day of month, month, day of week, such as '0 30 1 * * *'; of five
    /// fields, the second is 0
    #[arg(long)]
    pub cron: Option<String>,
    /// IANA time zone of the times, such as Europe/Berlin; each means each tenant's own
    #[arg(long)]
    pub time_zone: Option<String>,
    /// What happens to runs that are over a minute late: skip, one (the newest) or all
    #[arg(long)]
    pub missed: Option<Missed>,
    /// With --missed all: at most this many, the newest
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub missed_limit: Option<u16>,
}
