//! `enqueue` and `jobs`.

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;
use weirgate_queue::JobState;

/// Options of `enqueue`.
#[derive(Debug, Args)]
pub struct Enqueue {
    /// The kind, such as ingest_tickets, compute_kpi, generate_export or pipeline_daily
    pub kind: String,
    /// Slug or UUID of the tenant
    #[arg(long)]
    pub tenant: String,
    /// The day, for kinds that work on one
    #[arg(long)]
    pub date: Option<NaiveDate>,
    /// Further arguments of the kind, as name=value
    #[arg(long = "arg", value_name = "NAME=VALUE", value_parser = name_value)]
    pub args: Vec<(String, String)>,
    /// Not before this time (RFC 3339)
    #[arg(long)]
    pub run_at: Option<DateTime<Utc>>,
    /// Higher first
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i16).range(-100..=100), allow_hyphen_values = true)]
    pub priority: i16,
    /// Enqueue even while the same job is on its way
    #[arg(long)]
    pub force: bool,
    /// Wait until the job is final; fail if it is not completed
    #[arg(long)]
    pub wait: bool,
}

fn name_value(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "expected NAME=VALUE".to_owned())
}

/// What can be done with jobs.
#[derive(Debug, Subcommand)]
pub enum Jobs {
    /// List the newest jobs
    List {
        /// Slug or UUID of a tenant
        #[arg(long)]
        tenant: Option<String>,
        /// States, separated by commas
        #[arg(long, value_delimiter = ',')]
        state: Vec<JobState>,
        /// A kind
        #[arg(long)]
        kind: Option<String>,
        /// At most this many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
        /// Print JSON, one job a line
        #[arg(long)]
        json: bool,
    },
    /// Show one job
    Show {
        /// Its id
        id: Uuid,
    },
    /// Give a discarded or cancelled job another life
    Retry {
        /// Its id
        id: Uuid,
    },
    /// Cancel a job; a running one is told to stop
    Cancel {
        /// Its id
        id: Uuid,
    },
    /// Retry, cancel or delete all jobs that a filter takes; a worker does it
    #[command(after_help = "\
Examples:
  weirgate jobs bulk retry --state discarded --kind ingest_tickets --dry-run
  weirgate jobs bulk cancel --tenant tenant_demo_cca --wait
  weirgate jobs bulk delete --state completed --created-before 2026-01-01T00:00:00Z")]
    Bulk(Bulk),
}

/// Options of `jobs bulk`. A job has to fulfil all filters.
#[derive(Debug, Args)]
pub struct Bulk {
    /// What to do
    pub action: BulkVerb,
    /// States, separated by commas
    #[arg(long, value_delimiter = ',')]
    pub state: Vec<JobState>,
    /// A kind
    #[arg(long)]
    pub kind: Option<String>,
    /// A queue
    #[arg(long)]
    pub queue: Option<String>,
    /// Slug or UUID of a tenant
    #[arg(long)]
    pub tenant: Option<String>,
    /// A workflow
    #[arg(long)]
    pub workflow: Option<Uuid>,
    /// A backfill
    #[arg(long)]
    pub backfill: Option<Uuid>,
    /// Enqueued at this time or after (RFC 3339)
    #[arg(long)]
    pub created_after: Option<DateTime<Utc>>,
    /// Enqueued before this time (RFC 3339)
    #[arg(long)]
    pub created_before: Option<DateTime<Utc>>,
    /// A text in arguments or errors
    #[arg(long)]
    pub q: Option<String>,
    /// An argument, such as date=2026-01-20; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub arg: Vec<(String, String)>,
    /// Every job of every tenant, in place of filters
    #[arg(long)]
    pub all: bool,
    /// Only count
    #[arg(long)]
    pub dry_run: bool,
    /// Wait until all is done; fail if it is not completed
    #[arg(long, conflicts_with = "dry_run")]
    pub wait: bool,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or_else(|| "expected NAME=VALUE, such as date=2026-01-20".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Actions of `jobs bulk`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum BulkVerb {
    /// Another life for discarded and cancelled jobs
    Retry,
    /// The end of jobs that are not final
    Cancel,
    /// Forget final jobs that no other one waits on
    Delete,
}
