//! `queues` and `limits`.

use clap::{Args, Subcommand};

use super::values::{count, seconds, weight};

/// What can be done with queues.
#[derive(Debug, Subcommand)]
pub enum Queues {
    /// List them with what waits and runs
    #[command(after_help = "Example:\n  weirgate queues list")]
    List,
    /// Start nothing of a queue until it is resumed; what runs goes on
    #[command(after_help = "Example:\n  weirgate queues pause ingest")]
    Pause {
        /// Its name
        queue: String,
    },
    /// Let a paused queue go on
    #[command(after_help = "Example:\n  weirgate queues resume ingest")]
    Resume {
        /// Its name
        queue: String,
    },
}

/// What can be done with limits.
#[derive(Debug, Subcommand)]
pub enum Limits {
    /// Show a tenant's limits in every queue, and what is going on
    #[command(after_help = "Example:\n  weirgate limits show tenant_demo_cca")]
    Show {
        /// Slug or UUID of the tenant
        tenant: String,
    },
    /// Set a tenant's limits in a queue; what is left out is no limit
    #[command(
        after_help = "Example:\n  weirgate limits set tenant_demo_cca ingest --rate 20 --period 1s --burst 5 --max-running 3 --weight 2"
    )]
    Set(SetLimits),
    /// Give a tenant back to what the queue has for each one
    #[command(after_help = "Example:\n  weirgate limits clear tenant_demo_cca ingest")]
    Clear {
        /// Slug or UUID of the tenant
        tenant: String,
        /// The queue
        queue: String,
    },
}

/// Options of `limits set`.
#[derive(Debug, Args)]
pub struct SetLimits {
    /// Slug or UUID of the tenant
    pub tenant: String,
    /// The queue
    pub queue: String,
    /// Starts per period
    #[arg(long, value_parser = count, allow_hyphen_values = true)]
    pub rate: Option<i64>,
    /// The period, such as 500ms, 1s, 1m or 1h [default: 1s]
    #[arg(long, value_parser = seconds, allow_hyphen_values = true)]
    pub period: Option<f64>,
    /// Starts at once after a pause [default: 1, evenly spaced]
    #[arg(long, value_parser = count, allow_hyphen_values = true)]
    pub burst: Option<i64>,
    /// Jobs that run at once, on all hosts together
    #[arg(long, value_parser = count, allow_hyphen_values = true)]
    pub max_running: Option<i64>,
    /// Share of the starts against other tenants [default: 1]
    #[arg(long, value_parser = weight, allow_hyphen_values = true)]
    pub weight: Option<f64>,
}
