//! `queues` and `limits`.

use clap::{Args, Subcommand};

/// What can be done with queues.
#[derive(Debug, Subcommand)]
pub enum Queues {
    /// List them with what waits and runs
    List,
    /// Start nothing of a queue until it is resumed; what runs goes on
    Pause {
        /// Its name
        queue: String,
    },
    /// Let a paused queue go on
    Resume {
        /// Its name
        queue: String,
    },
}

/// What can be done with limits.
#[derive(Debug, Subcommand)]
pub enum Limits {
    /// Show a tenant's limits in every queue, and what is going on
    Show {
        /// Slug or UUID of the tenant
        tenant: String,
    },
    /// Set a tenant's limits in a queue; what is left out is no limit
    Set(SetLimits),
    /// Give a tenant back to what the queue has for each one
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
    #[arg(long)]
    pub rate: Option<i64>,
    /// The period, such as 500ms, 1s, 1m or 1h [default: 1s]
    #[arg(long, value_parser = seconds)]
    pub period: Option<f64>,
    /// Starts at once after a pause [default: 1, evenly spaced]
    #[arg(long)]
    pub burst: Option<i64>,
    /// Jobs that run at once, on all hosts together
    #[arg(long)]
    pub max_running: Option<i64>,
    /// Share of the starts against other tenants [default: 1]
    #[arg(long)]
    pub weight: Option<f64>,
}

fn seconds(text: &str) -> Result<f64, String> {
    let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("expected a number and its unit, such as 500ms, 1s, 1m or 1h".to_owned()),
    };
    digits.parse::<f64>().map(|number| number * unit).map_err(|error| error.to_string())
}
