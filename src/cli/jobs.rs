//! `enqueue` and `jobs`.

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;
use weirgate_queue::JobState;

use super::values::{day, pair, time};

/// Options of `enqueue`.
#[derive(Debug, Args)]
pub struct Enqueue {
    /// The kind, such as ingest_tickets, compute_kpi, generate_export or daily_pipeline
    pub kind: String,
    /// Slug or UUID of the tenant
    #[arg(long)]
    pub tenant: String,
    /// The day, for kinds that work on one, such as 2026-01-31
    #[arg(long, value_parser = day)]
    pub date: Option<NaiveDate>,
    /// Further arguments of the kind, as name=value
    #[arg(long = "arg", value_name = "NAME=VALUE", value_parser = pair)]
    pub args: Vec<(String, String)>,
    /// Not before this time (RFC 3339), such as 2026-01-31T08:00:00Z
    #[arg(long, value_parser = time)]
    pub run_at: Option<DateTime<Utc>>,
    /// Priority; higher first
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i16).range(-100..=100), allow_hyphen_values = true)]
    pub priority: i16,
    /// Enqueue even if the same job is not final yet
    #[arg(long)]
    pub force: bool,
    /// Wait until the job is final, and show why it is not running; fail unless it completes
    #[arg(long)]
    pub wait: bool,
    /// Accept a day in the future, or a time far away, without asking
    #[arg(long)]
    pub yes: bool,
}

/// What can be done with jobs.
#[derive(Debug, Subcommand)]
pub enum Jobs {
    /// List the newest jobs
    #[command(after_help = "\
Examples:
  weirgate jobs list --tenant tenant_demo_cca --state running,retryable
  weirgate jobs list --tenant tenant_demo_cca --date 2026-01-20 --state retryable,discarded,cancelled
  weirgate jobs list --q timeout --limit 10 --json")]
    List(ListJobs),
    /// Show one job, and why it is not running
    #[command(after_help = "Example:\n  weirgate jobs show 0198c5d2-…")]
    Show {
        /// Id of the job
        id: Uuid,
    },
    /// Retry a discarded or cancelled job
    #[command(after_help = "Example:\n  weirgate jobs retry 0198c5d2-…")]
    Retry {
        /// Id of the job
        id: Uuid,
    },
    /// Cancel a job; a running one is told to stop
    #[command(after_help = "Example:\n  weirgate jobs cancel 0198c5d2-…")]
    Cancel {
        /// Id of the job
        id: Uuid,
    },
    /// Retry, cancel or delete all jobs that match a filter, as a background job
    #[command(after_help = "\
Examples:
  weirgate jobs bulk retry --state discarded --kind ingest_tickets --dry-run
  weirgate jobs bulk retry --tenant tenant_demo_cca --date 2026-01-20 --state discarded
  weirgate jobs bulk cancel --tenant tenant_demo_cca --wait
  weirgate jobs bulk delete --state completed --created-before 2026-01-01T00:00:00Z")]
    Bulk(Bulk),
}

/// Options of `jobs list`.
#[derive(Debug, Args)]
pub struct ListJobs {
    #[command(flatten)]
    pub filter: Filter,
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    pub limit: i64,
    /// Print JSON, one job a line
    #[arg(long)]
    pub json: bool,
}

/// Which jobs. A job has to fulfil all of it.
#[derive(Debug, Clone, Args)]
pub struct Filter {
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
    /// For this day, such as 2026-01-20, including the ingests of its pipeline
    #[arg(long, value_parser = day)]
    pub date: Option<NaiveDate>,
    /// A workflow
    #[arg(long)]
    pub workflow: Option<Uuid>,
    /// A backfill
    #[arg(long)]
    pub backfill: Option<Uuid>,
    /// Enqueued at this time or after (RFC 3339), such as 2026-01-31T08:00:00Z
    #[arg(long, value_parser = time)]
    pub created_after: Option<DateTime<Utc>>,
    /// Enqueued before this time (RFC 3339)
    #[arg(long, value_parser = time)]
    pub created_before: Option<DateTime<Utc>>,
    /// A text in arguments or errors
    #[arg(long)]
    pub q: Option<String>,
    /// An argument, such as format=csv; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub arg: Vec<(String, String)>,
    /// Retryable or discarded with this failure; `weirgate failures` lists the ids
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..=4_503_599_627_370_495))]
    pub failure: Option<i64>,
}

/// Options of `jobs bulk`.
#[derive(Debug, Args)]
pub struct Bulk {
    /// What to do
    pub action: BulkVerb,
    #[command(flatten)]
    pub filter: Filter,
    /// Every job of every tenant, instead of filters
    #[arg(long)]
    pub all: bool,
    /// Only count the jobs
    #[arg(long)]
    pub dry_run: bool,
    /// Wait until it is done; fail unless it completes
    #[arg(long, conflicts_with = "dry_run")]
    pub wait: bool,
}

/// Actions of `jobs bulk`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum BulkVerb {
    /// Run discarded and cancelled jobs again
    Retry,
    /// Cancel jobs that are not final
    Cancel,
    /// Delete final jobs that no other job waits for
    Delete,
}
