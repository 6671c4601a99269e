//! `rejects`.

use chrono::NaiveDate;
use clap::Args;
use uuid::Uuid;
use weirgate_msp::sources::Dataset;

use super::values::day;

/// Options of `rejects`.
#[derive(Debug, Args)]
pub struct Rejects {
    /// Slug or UUID of a tenant
    #[arg(long)]
    pub tenant: Option<String>,
    /// Dataset: tickets, time_entries, csat or security_alerts
    #[arg(long, visible_alias = "source", value_parser = dataset)]
    pub dataset: Option<Dataset>,
    /// Found on this day of the tenant's time zone, such as 2026-01-31
    #[arg(long, value_parser = day)]
    pub date: Option<NaiveDate>,
    /// Found by this job
    #[arg(long)]
    pub job: Option<Uuid>,
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    pub limit: i64,
    /// Print JSON, one row a line
    #[arg(long)]
    pub json: bool,
}

fn dataset(text: &str) -> Result<Dataset, String> {
    let names = Dataset::ALL.map(Dataset::name).join(", ");
    Dataset::from_name(text).ok_or_else(|| format!("expected one of {names}"))
}
