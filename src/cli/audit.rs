//! `audit`.

use chrono::{DateTime, Utc};
use clap::Args;
use weirgate_identity::audit::Via;

use super::values::{time, via};

/// Options of `audit`.
#[derive(Debug, Args)]
pub struct Audit {
    /// Who did it, such as ada@example.com or ada@db1
    #[arg(long)]
    pub actor: Option<String>,
    /// Action or group of actions: job stands for job.cancel, job.retry and the like
    #[arg(long)]
    pub action: Option<String>,
    /// Target: a job's id, a queue's name, an email
    #[arg(long)]
    pub target: Option<String>,
    /// Entries of this tenant alone: slug or UUID; system for jobs of the system itself
    #[arg(long)]
    pub tenant: Option<String>,
    /// Where it was done
    #[arg(long, value_parser = via())]
    pub via: Option<Via>,
    /// From this time on (RFC 3339), such as 2026-01-31T00:00:00Z
    #[arg(long, value_parser = time)]
    pub from: Option<DateTime<Utc>>,
    /// Before this time
    #[arg(long, value_parser = time)]
    pub to: Option<DateTime<Utc>>,
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    pub limit: i64,
    /// Print JSON, one entry a line
    #[arg(long)]
    pub json: bool,
}
