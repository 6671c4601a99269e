//! `backfill` and `backfills`.

use chrono::NaiveDate;
use clap::{Args, Subcommand};
use uuid::Uuid;
use weirgate_web::backfill::{BackfillKind, BackfillOrder, Reprocess};

use super::values::{day, share};
use crate::domains::{self, Domains};

/// Options of `backfill`.
#[derive(Debug, Args)]
pub struct Backfill {
    /// Kind of job for each tenant and day: compute_kpi, generate_export or daily_pipeline
    #[arg(value_parser = kind)]
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
    /// Order of the days: newest_first or oldest_first
    #[arg(long, default_value = "newest_first")]
    pub order: BackfillOrder,
    /// Which days: missing (without a result), failed (discarded, without a result since) or all
    #[arg(long, default_value = "missing")]
    pub reprocess: Reprocess,
    /// Share of the workers it may use while live jobs are available; all of them otherwise
    #[arg(long, default_value_t = 0.25, value_parser = share, allow_hyphen_values = true)]
    pub share: f64,
    /// Most of its jobs that may run at once in a queue
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_running: Option<u32>,
    /// Priority of its jobs; higher first
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i16).range(-100..=100), allow_hyphen_values = true)]
    pub priority: i16,
    /// Only count the days to process
    #[arg(long)]
    pub dry_run: bool,
    /// Accept days in the future without asking
    #[arg(long)]
    pub yes: bool,
    /// Show progress until it is final; fail unless all days completed
    #[arg(long, conflicts_with = "dry_run")]
    pub watch: bool,
}

fn kind(text: &str) -> Result<BackfillKind, String> {
    Domains::new(domains::all()).catalog().backfill(text)
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
        /// Id of the backfill
        id: Uuid,
        /// Show progress until it is final
        #[arg(long)]
        watch: bool,
    },
    /// Pause a backfill; its running jobs continue
    #[command(after_help = "Example:\n  weirgate backfills pause 0198c5d2-…")]
    Pause {
        /// Id of the backfill
        id: Uuid,
    },
    /// Resume a paused backfill
    #[command(after_help = "Example:\n  weirgate backfills resume 0198c5d2-…")]
    Resume {
        /// Id of the backfill
        id: Uuid,
    },
    /// Cancel a backfill; its running jobs are told to stop
    #[command(after_help = "Example:\n  weirgate backfills cancel 0198c5d2-…")]
    Cancel {
        /// Id of the backfill
        id: Uuid,
    },
    /// Retry its discarded jobs
    #[command(after_help = "Example:\n  weirgate backfills retry-failed 0198c5d2-…")]
    RetryFailed {
        /// Id of the backfill
        id: Uuid,
    },
}
