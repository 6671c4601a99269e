//! `queues` and `limits`.

use clap::{Args, Subcommand};

use super::values::{count, seconds, weight};

/// What can be done with queues.
#[derive(Debug, Subcommand)]
pub enum Queues {
    /// List the queues with their jobs by state
    #[command(after_help = "Example:\n  weirgate queues list")]
    List,
    /// Pause a queue; its running jobs continue
    #[command(after_help = "Example:\n  weirgate queues pause ingest")]
    Pause {
        /// Name of the queue
        queue: String,
    },
    /// Resume a paused queue
    #[command(after_help = "Example:\n  weirgate queues resume ingest")]
    Resume {
        /// Name of the queue
        queue: String,
    },
}

/// What can be done with limits.
#[derive(Debug, Subcommand)]
pub enum Limits {
    /// Show a tenant's limits and jobs in every queue
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
    /// Reset a tenant to the queue's default limits
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
    /// Starts allowed at once after a pause [default: 1, evenly spaced]
    #[arg(long, value_parser = count, allow_hyphen_values = true)]
    pub burst: Option<i64>,
    /// Jobs that may run at once, on all hosts together
    #[arg(long, value_parser = count, allow_hyphen_values = true)]
    pub max_running: Option<i64>,
    /// Share of the starts compared to other tenants [default: 1]
    #[arg(long, value_parser = weight, allow_hyphen_values = true)]
    pub weight: Option<f64>,
}
