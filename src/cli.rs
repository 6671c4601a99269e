//! The command line.
#![expect(clippy::doc_markdown, reason = "the comments are the help texts")]

mod queues;

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use uuid::Uuid;
use weirgate_jobs::{BackfillKind, BackfillOrder, Reprocess};
use weirgate_queue::JobState;

pub use queues::{Limits, Queues, SetLimits};

use crate::bench::Scenario;

/// Durable, multi-tenant jobs on Postgres: HTTP enqueues, workers do, tenants read.
#[derive(Debug, Parser)]
#[command(
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  weirgate demo                      the whole path in one command, nothing set up before
  weirgate up                        API and worker with a private Postgres, kept between runs
  weirgate enqueue compute_kpi --tenant tenant_demo_cca --date 2026-01-20 --wait
  weirgate jobs list --state discarded
Settings come from the environment and .env; .env.example lists them."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Do the main job once, as n8n would, and show the results
    #[command(after_help = "\
Examples:
  weirgate demo
  weirgate demo --json
  weirgate demo --date 2026-01-19 --stay")]
    Demo(Demo),
    /// API and worker in one process, for daily use on one machine
    #[command(after_help = "\
Examples:
  weirgate up
  WEIRGATE_LISTEN=0.0.0.0:80 weirgate up")]
    Up,
    /// The API alone, for several hosts (needs SERVICE_TOKEN)
    #[command(after_help = "Example:\n  SERVICE_TOKEN=$(openssl rand -hex 32) weirgate serve")]
    Serve,
    /// A worker alone, for several hosts
    #[command(after_help = "Example:\n  DATABASE_URL=postgres://… weirgate worker")]
    Worker,
    /// The database's schema
    #[command(subcommand, after_help = "Examples:\n  weirgate migrate up\n  weirgate migrate status")]
    Migrate(Migrate),
    /// Make the tenants of MOCK_DATA_PATH/tenants.json, each with an API key
    #[command(after_help = "Example:\n  MOCK_DATA_PATH=mock-data weirgate seed")]
    Seed {
        /// Give every tenant a new key, in place of the one that `seed` gave it before
        #[arg(long)]
        fresh_keys: bool,
    },
    /// API keys of tenants
    #[command(
        subcommand,
        after_help = "\
Examples:
  weirgate keys create tenant_demo_cca --name dashboard
  weirgate keys revoke wg_1a2b3c4d"
    )]
    Keys(Keys),
    /// Enqueue a job
    #[command(after_help = "\
Examples:
  weirgate enqueue ingest_tickets --tenant tenant_demo_cca
  weirgate enqueue compute_kpi --tenant tenant_demo_cca --date 2026-01-20 --wait
  weirgate enqueue generate_export --tenant tenant_demo_cca --date 2026-01-20 --arg format=csv")]
    Enqueue(Enqueue),
    /// Do something for each tenant and day of a range, behind the live work
    #[command(after_help = "\
Examples:
  weirgate backfill compute_kpi --from 2025-01-01 --to 2025-12-31 --dry-run
  weirgate backfill pipeline --tenants tenant_demo_cca --from 2026-01-01 --to 2026-01-20 --reprocess all --watch")]
    Backfill(Backfill),
    /// Look at backfills and act on them
    #[command(
        subcommand,
        after_help = "\
Examples:
  weirgate backfills list
  weirgate backfills show 0198c5d2-…
  weirgate backfills pause 0198c5d2-…"
    )]
    Backfills(Backfills),
    /// Look at jobs and act on them
    #[command(
        subcommand,
        after_help = "\
Examples:
  weirgate jobs list --tenant tenant_demo_cca --state running,retryable
  weirgate jobs show 0198c5d2-…
  weirgate jobs retry 0198c5d2-…
  weirgate jobs bulk retry --state discarded --dry-run"
    )]
    Jobs(Jobs),
    /// Measure the engine in a database of its own
    #[command(after_help = "\
Examples:
  weirgate bench fairness
  weirgate bench limits --json")]
    Bench {
        /// What to measure
        scenario: Scenario,
        /// Print one JSON document instead of a table
        #[arg(long)]
        json: bool,
    },
    /// A worker process of `bench`
    #[command(hide = true)]
    BenchWorker {
        #[arg(long)]
        slots: usize,
    },
    /// What is done by the clock: look at it, pause it, resume it
    #[command(
        subcommand,
        after_help = "\
Examples:
  weirgate schedules list
  weirgate schedules pause daily_pipeline
  weirgate schedules resume daily_pipeline
Times, zones and what happens to missed ticks: PUT /internal/schedules/{name}."
    )]
    Schedules(Schedules),
    /// Queues: look at them, pause and resume them
    #[command(
        subcommand,
        after_help = "\
Examples:
  weirgate queues list
  weirgate queues pause ingest
  weirgate queues resume ingest"
    )]
    Queues(Queues),
    /// What each tenant may start and run in each queue
    #[command(
        subcommand,
        after_help = "\
Examples:
  weirgate limits show tenant_demo_cca
  weirgate limits set tenant_demo_cca ingest --rate 20 --period 1s --burst 5 --max-running 3 --weight 2
  weirgate limits clear tenant_demo_cca ingest"
    )]
    Limits(Limits),
    /// Generate mock data for tests and load
    #[command(after_help = "\
Examples:
  weirgate mock-data --out /tmp/mock --tenants 2 --tickets 100
  weirgate mock-data --out /tmp/mock --tenants 50 --tickets 20000 --bad-rows 20 --seed 7")]
    MockData(MockData),
    /// Print completions for a shell
    #[command(after_help = "Example:\n  weirgate completions bash > /etc/bash_completion.d/weirgate")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Options of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Print one JSON document instead of a table
    #[arg(long)]
    pub json: bool,
    /// The day to work out
    #[arg(long, default_value = "2026-01-20")]
    pub date: NaiveDate,
    /// Keep serving afterwards, and print addresses and keys
    #[arg(long)]
    pub stay: bool,
}

/// What can be done to the schema.
#[derive(Debug, Subcommand)]
pub enum Migrate {
    /// Apply what is missing
    Up,
    /// Undo the newest migration, with the data it holds
    Down {
        /// Undo everything after this version
        #[arg(long)]
        to: Option<i64>,
    },
    /// List migrations and whether they are applied
    Status,
}

/// What can be done with API keys.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a key and print it, this once
    Create {
        /// Slug or UUID of the tenant
        tenant: String,
        /// What the key is for
        #[arg(long, default_value = "cli")]
        name: String,
    },
    /// Refuse a key from now on
    Revoke {
        /// The key's prefix (wg_ and 8 characters), or the whole key
        key: String,
    },
}

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

/// Options of `backfill`.
#[derive(Debug, Args)]
pub struct Backfill {
    /// What to do for each tenant and day: compute_kpi, generate_export or pipeline
    pub kind: BackfillKind,
    /// Slugs or UUIDs of tenants, separated by commas; all means every active one
    #[arg(long, value_delimiter = ',', default_value = "all")]
    pub tenants: Vec<String>,
    /// The first day
    #[arg(long)]
    pub from: NaiveDate,
    /// The last day
    #[arg(long)]
    pub to: NaiveDate,
    /// Which end comes first: newest_first or oldest_first
    #[arg(long, default_value = "newest_first")]
    pub order: BackfillOrder,
    /// Which days: missing (without a result), failed (for good, without a result since) or all
    #[arg(long, default_value = "missing")]
    pub reprocess: Reprocess,
    /// What part of the fleet it may take while live work waits; all of it while none does
    #[arg(long, default_value_t = 0.25, value_parser = share)]
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
    /// Show how far it is until it is over; fail if not all days were done
    #[arg(long, conflicts_with = "dry_run")]
    pub watch: bool,
}

fn share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|share: &f64| *share > 0.0 && *share <= 1.0)
        .map(|share| share.max(1e-6))
        .ok_or_else(|| "expected a number above 0, up to 1".to_owned())
}

/// What can be done with backfills.
#[derive(Debug, Subcommand)]
pub enum Backfills {
    /// List the newest backfills
    List {
        /// At most this many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=500))]
        limit: i64,
    },
    /// Show one backfill
    Show {
        /// Its id
        id: Uuid,
        /// Go on showing it until it is over
        #[arg(long)]
        watch: bool,
    },
    /// Start nothing of it until it is resumed
    Pause {
        /// Its id
        id: Uuid,
    },
    /// Let a paused one go on
    Resume {
        /// Its id
        id: Uuid,
    },
    /// Stop it: what waits is cancelled, what runs is told to stop
    Cancel {
        /// Its id
        id: Uuid,
    },
    /// Give its discarded jobs another life
    RetryFailed {
        /// Its id
        id: Uuid,
    },
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

/// What can be done with schedules.
#[derive(Debug, Subcommand)]
pub enum Schedules {
    /// List them, each with its next run
    List,
    /// Let one do nothing until it is resumed
    Pause {
        /// Its name
        name: String,
    },
    /// Let one go on; what it missed stays missed
    Resume {
        /// Its name
        name: String,
    },
}

/// Options of `mock-data`.
#[derive(Debug, Args)]
pub struct MockData {
    /// The folder to write
    #[arg(long)]
    pub out: PathBuf,
    /// Tenants
    #[arg(long, default_value_t = 2)]
    pub tenants: usize,
    /// Tickets a tenant
    #[arg(long, default_value_t = 100)]
    pub tickets: usize,
    /// Time entries a tenant
    #[arg(long, default_value_t = 100)]
    pub time_entries: usize,
    /// Satisfaction surveys a tenant
    #[arg(long, default_value_t = 30)]
    pub surveys: usize,
    /// Security alerts a tenant
    #[arg(long, default_value_t = 40)]
    pub alerts: usize,
    /// Days back over which the rows are spread
    #[arg(long, default_value_t = 30)]
    pub days: u32,
    /// The last of these days
    #[arg(long, default_value = "2026-01-20")]
    pub until: NaiveDate,
    /// The same seed gives the same files
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Deliberately bad rows a file
    #[arg(long, default_value_t = 0)]
    pub bad_rows: u32,
    /// One JSON array a file (tickets/TENANT.json) instead of lines (TENANT/tickets.jsonl)
    #[arg(long)]
    pub json: bool,
    /// Write into a folder that is not empty
    #[arg(long)]
    pub force: bool,
}
