//! `backfill` and `backfills`.

use chrono::NaiveDate;
use clap::{Args, Subcommand};
use uuid::Uuid;
use weirgate_msp::{BackfillKind, BackfillOrder, Reprocess};

use super::values::{day, share};

/// Options of `backfill`.
#[derive(Debug, Args)]
pub struct Backfill {
    /// What to do for each tenant and day: compute_kpi, generate_export or daily_pipeline
    pub kind: BackfillKind,
    /// Slugs or UUIDs of tenants, separated by commas; all means every active one
    #[arg(long, value_delimiter = ',', default_value = "all")]
    pub tenants: Vec<String>,
    /// The first day, such as 2026-01-01
    #[arg(long, value_parser = day)]
    pub from: NaiveDate,
    /// The last day, such as 2026-01-31
    #[arg(long, value_parser = day)]
    pub to: NaiveDate,
    /// Which end comes first: newest_first or oldest_first
    #[arg(long, default_value = "newest_first")]
    pub order: BackfillOrder,
    /// Which days: missing (without a result), failed (for good, without a result since) or all
    #[arg(long, default_value = "missing")]
    pub reprocess: Reprocess,
    /// What part of the fleet it may take while live work waits; all of it while none does
    #[arg(long, default_value_t = 0.25, value_parser = share, allow_hyphen_values = true)]
    pub share: f64,
    /// Most of its jobs at once in a queue
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_running: Option<u32>,
    /// Of its jobs; higher first
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i16).range(-100..=100), allow_hyphen_values = true)]
    pub priority: i16,
    /// Only say how many days there are to do
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask whether days that are yet to come are meant
    #[arg(long)]
    pub yes: bool,
    /// Show how far it is until it is over; fail if not all days were done
    #[arg(long, conflicts_with = "dry_run")]
    pub watch: bool,
}

/// What can be done with backfills.
#[derive(Debug, Subcommand)]
pub enum Backfills {
    /// List the newest backfills
    #[command(after_help = "Example:\n  weirgate backfills list --limit 5")]
    List {
        /// At most this many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=500))]
        limit: i64,
    },
    /// Show one backfill
    #[command(
        after_help = "Examples:\n  weirgate backfills show 0198c5d2-…\n  weirgate backfills show 0198c5d2-… --watch"
    )]
    Show {
        /// Its id
        id: Uuid,
        /// Go on showing it until it is over
        #[arg(long)]
        watch: bool,
    },
    /// Start nothing of it until it is resumed
    #[command(after_help = "Example:\n  weirgate backfills pause 0198c5d2-…")]
    Pause {
        /// Its id
        id: Uuid,
    },
    /// Let a paused one go on
    #[command(after_help = "Example:\n  weirgate backfills resume 0198c5d2-…")]
    Resume {
        /// Its id
        id: Uuid,
    },
    /// Stop it: what waits is cancelled, what runs is told to stop
    #[command(after_help = "Example:\n  weirgate backfills cancel 0198c5d2-…")]
    Cancel {
        /// Its id
        id: Uuid,
    },
    /// Give its discarded jobs another life
    #[command(after_help = "Example:\n  weirgate backfills retry-failed 0198c5d2-…")]
    RetryFailed {
        /// Its id
        id: Uuid,
    },
}
