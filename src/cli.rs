//! The command line.
#![expect(clippy::doc_markdown, reason = "the comments are the help texts")]

mod audit;
mod backfills;
mod clients;
mod identity;
mod jobs;
mod keys;
mod mock_data;
mod queues;
mod rejects;
mod remote;
mod scenario;
mod schedules;
mod tenants;
mod users;
mod values;
mod workflows;

use chrono::NaiveDate;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub use audit::Audit;
pub use backfills::{Backfill, Backfills};
pub use clients::{Clients, NewClient};
pub use identity::{Identity, SigningKeys};
pub use jobs::{Bulk, BulkVerb, Enqueue, Filter, Jobs, ListJobs};
pub use keys::{Expiry, Keys, NewKey};
pub use mock_data::MockData;
pub use queues::{Limits, Queues, SetLimits};
pub use rejects::Rejects;
pub use remote::Remote;
pub use scenario::Scenario;
pub use schedules::{Schedules, SetSchedule};
pub use tenants::{ChangedTenant, NewTenant, Tenants};
pub use users::{About, GivenPassword, Place, Users};
pub use workflows::{ListWorkflows, Workflows};

/// Durable, multi-tenant jobs on Postgres: HTTP enqueues, workers run, tenants read.
#[derive(Debug, Parser)]
#[command(
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  weirgate demo                      everything in one command, without any setup
  weirgate up                        API and worker with a private Postgres, kept between runs
  weirgate enqueue compute_kpi --tenant tenant_demo_cca --date 2026-01-20 --wait
  weirgate jobs list --state discarded
  weirgate jobs list --state discarded --server https://jobs.example.com --token-file token
Settings come from the environment and .env; .env.example lists them. With --server, or WEIRGATE_URL and WEIRGATE_TOKEN, commands use the
API of a remote server and need no database."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub remote: Remote,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daily pipeline once, as n8n would, and show the results
    #[command(after_help = "\
Examples:
  weirgate demo
  weirgate demo --json
  weirgate demo --date 2026-01-19 --stay")]
    Demo(Demo),
    /// Run API and worker in one process, for daily use on one machine
    #[command(after_help = "\
Examples:
  weirgate up
  WEIRGATE_LISTEN=0.0.0.0:80 weirgate up")]
    Up,
    /// Run the API alone, for several hosts (needs SERVICE_TOKEN)
    #[command(after_help = "Example:\n  SERVICE_TOKEN=$(openssl rand -hex 32) weirgate serve")]
    Serve,
    /// Run a worker alone, for several hosts
    #[command(after_help = "\
Examples:
  DATABASE_URL=postgres://… weirgate worker
  DATABASE_URL=postgres://… weirgate worker --queues kpi,export")]
    Worker {
        /// Work these queues alone, separated by commas; all of them when left out
        #[arg(long, value_delimiter = ',')]
        queues: Vec<String>,
    },
    /// Migrate the database's schema
    #[command(subcommand, after_help = "Examples:\n  weirgate migrate up\n  weirgate migrate status")]
    Migrate(Migrate),
    /// Create the tenants of MOCK_DATA_PATH/tenants.json, each with an API key
    #[command(after_help = "Example:\n  MOCK_DATA_PATH=mock-data weirgate seed")]
    Seed {
        /// Give every tenant a new key that replaces the one from an earlier `seed`
        #[arg(long)]
        fresh_keys: bool,
    },
    /// List, create and change tenants
    #[command(
        subcommand,
        after_help = "\
Examples:
  weirgate tenants list
  weirgate tenants create acme --name 'Acme Ltd' --time-zone Europe/London
  weirgate tenants set acme --active false
  weirgate tenants list --server https://jobs.example.com --token-file token"
    )]
    Tenants(Tenants),
    /// List, create and revoke API keys of tenants
    #[command(
        subcommand,
        after_help = "\
Examples:
  weirgate keys create tenant_demo_cca --name dashboard
  weirgate keys create tenant_demo_cca --name auditor --expires-in 30d
  weirgate keys list tenant_demo_cca
  weirgate keys revoke wg_1a2b3c4d
  weirgate keys list --server https://jobs.example.com --token-file token"
    )]
    Keys(Keys),
    /// Manage accounts of people, and what they may do
    #[command(
        subcommand,
        after_help = "\
Examples:
  weirgate users create ada@example.com --role operator
  weirgate users invite grace@acme.example --app msp --tenant acme --role reader
  weirgate users password ada@example.com
  weirgate users role ada@example.com admin
  weirgate users disable ada@example.com"
    )]
    Users(Users),
    /// Manage browser apps that people sign in to by OAuth
    #[command(
        subcommand,
        after_help = "\
Examples:
  weirgate clients list
  weirgate clients create desk --name Desk --redirect-uri https://desk.example.com/signed-in
  weirgate clients disable desk"
    )]
    Clients(Clients),
    /// Manage the keys of the service itself: those that sign access tokens, and the one that seals
    #[command(
        subcommand,
        after_help = "\
Examples:
  weirgate identity keys list
  weirgate identity keys rotate
  weirgate identity reseal"
    )]
    Identity(Identity),
    /// Enqueue a job
    #[command(after_help = "\
Examples:
  weirgate enqueue ingest_tickets --tenant tenant_demo_cca
  weirgate enqueue compute_kpi --tenant tenant_demo_cca --date 2026-01-20 --wait
  weirgate enqueue generate_export --tenant tenant_demo_cca --date 2026-01-20 --arg format=csv
  weirgate enqueue ingest_tickets --tenant tenant_demo_cca --wait --server https://jobs.example.com --token-file token")]
    Enqueue(Enqueue),
    /// Create a backfill: one kind of job for each tenant and day of a range, behind live jobs
    #[command(after_help = "\
Examples:
  weirgate backfill compute_kpi --from 2025-01-01 --to 2025-12-31 --dry-run
  weirgate backfill daily_pipeline --tenants tenant_demo_cca --from 2026-01-01 --to 2026-01-20 --reprocess all --watch
  weirgate backfill compute_kpi --from 2026-01-01 --to 2026-01-20 --server https://jobs.example.com --token-file token")]
    Backfill(Backfill),
    /// List, show, pause, resume, cancel and retry backfills
    #[command(
        subcommand,
        after_help = "\
Examples:
  weirgate backfills list
  weirgate backfills show 0198c5d2-…
  weirgate backfills pause 0198c5d2-…
  weirgate backfills list --server https://jobs.example.com --token-file token"
    )]
    Backfills(Backfills),
    /// List, show, retry and cancel workflows, such as daily pipelines
    #[command(
        subcommand,
        after_help = "\
Examples:
  weirgate workflows list --date 2026-01-20
  weirgate workflows show 0198c5d2-…
  weirgate workflows retry-failed 0198c5d2-…"
    )]
    Workflows(Workflows),
    /// List, show, retry and cancel jobs
    #[command(
        subcommand,
        after_help = "\
Examples:
  weirgate jobs list --tenant tenant_demo_cca --state running,retryable
  weirgate jobs show 0198c5d2-…
  weirgate jobs retry 0198c5d2-…
  weirgate jobs bulk retry --state discarded --dry-run
  weirgate jobs list --state discarded --server https://jobs.example.com --token-file token"
    )]
    Jobs(Jobs),
    /// List failures: retryable and discarded jobs, grouped by their last error
    #[command(after_help = "\
Examples:
  weirgate failures
  weirgate jobs list --failure 1234567890
  weirgate jobs bulk retry --failure 1234567890
  weirgate failures --server https://jobs.example.com --token-file token")]
    Failures {
        /// At most this many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
    },
    /// List source rows that the latest ingests rejected, newest first
    #[command(after_help = "\
Examples:
  weirgate rejects
  weirgate rejects --tenant tenant_demo_cca --dataset tickets
  weirgate rejects --date 2026-01-20 --limit 10 --json
  weirgate rejects --job 0198c5d2-…")]
    Rejects(Rejects),
    /// List the audit log: who changed what, when and from where, newest first
    #[command(after_help = "\
Examples:
  weirgate audit --action queue --from 2026-01-31T00:00:00Z
  weirgate audit --target 0198c5d2-… --json
  weirgate audit --tenant tenant_demo_cca --via cli --limit 10
  weirgate audit --actor ada@example.com")]
    Audit(Audit),
    /// Measure the engine in a database of its own
    #[command(after_help = "\
Examples:
  weirgate bench fairness
  weirgate bench limits --json
  weirgate bench pinned --minutes 30")]
    Bench {
        /// What to measure
        scenario: Scenario,
        /// How long `pinned` takes [default: 5]
        #[arg(long)]
        minutes: Option<f64>,
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
    /// The server of `bench`, for measurements by other programs
    #[command(hide = true)]
    BenchServer,
    /// List, run, change, pause and resume schedules
    #[command(
        subcommand,
        after_help = "\
Examples:
  weirgate schedules list
  weirgate schedules run daily_pipeline --tenant tenant_demo_cca
  weirgate schedules set daily_pipeline --cron '0 30 1 * * *'
  weirgate schedules pause daily_pipeline
  weirgate schedules resume daily_pipeline
  weirgate schedules list --server https://jobs.example.com --token-file token"
    )]
    Schedules(Schedules),
    /// List, pause and resume queues
    #[command(
        subcommand,
        after_help = "\
Examples:
  weirgate queues list
  weirgate queues pause ingest
  weirgate queues resume ingest
  weirgate queues list --server https://jobs.example.com --token-file token"
    )]
    Queues(Queues),
    /// Show and change the limits of each tenant in each queue
    #[command(
        subcommand,
        after_help = "\
Examples:
  weirgate limits show tenant_demo_cca
  weirgate limits set tenant_demo_cca ingest --rate 20 --period 1s --burst 5 --max-running 3 --weight 2
  weirgate limits clear tenant_demo_cca ingest
  weirgate limits show tenant_demo_cca --server https://jobs.example.com --token-file token"
    )]
    Limits(Limits),
    /// Generate mock data for tests and load
    #[command(after_help = "\
Examples:
  weirgate mock-data --out /tmp/mock --tenants 2 --tickets 100
  weirgate mock-data --out /tmp/mock --tenants 50 --tickets 20000 --bad-rows 20 --seed 7")]
    MockData(MockData),
    /// Print shell completions
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
    /// The day to process
    #[arg(long, default_value = "2026-01-20", value_parser = values::day)]
    pub date: NaiveDate,
    /// Keep serving afterwards, and print addresses, API keys and a sign-in to the dashboard
    #[arg(long)]
    pub stay: bool,
}

/// What can be done to the schema.
#[derive(Debug, Subcommand)]
pub enum Migrate {
    /// Apply pending migrations
    #[command(after_help = "Example:\n  weirgate migrate up")]
    Up,
    /// Take over a database of a version before 0.1.0, with all its data
    ///
    /// Its tables move to the schemas queue, identity and msp, in one transaction. A database whose
    /// schema is not the one that the last of those versions made is refused and stays as it is.
    /// Stop all processes of Weirgate first.
    #[command(after_help = "Example:\n  weirgate migrate adopt")]
    Adopt,
    /// Undo the newest migration of a schema, with the data it holds
    #[command(
        after_help = "Examples:\n  weirgate migrate down\n  weirgate migrate down --schema identity --to 4 --yes"
    )]
    Down {
        /// The schema: queue, identity or msp; else the last of them that has a migration
        #[arg(long)]
        schema: Option<String>,
        /// Undo everything after this version
        #[arg(long, requires = "schema")]
        to: Option<i64>,
        /// Delete the data without asking
        #[arg(long)]
        yes: bool,
    },
    /// List the migrations of each schema and whether they are applied
    #[command(after_help = "Example:\n  weirgate migrate status")]
    Status,
    /// Rebuild the workers' view of the queues from the jobs themselves
    ///
    /// A database that was restored, moved or promoted is recognised, and this happens
    /// automatically. Run it by hand after rows were restored in a way that cannot be recognised,
    /// such as a restore of the data alone into existing tables. Workers stop their running jobs,
    /// hand them back and continue.
    #[command(after_help = "Example:\n  weirgate migrate rebase")]
    Rebase,
}
