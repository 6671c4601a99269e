//! `mock-data`.

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::Args;

use super::values::day;

/// Options of `mock-data`.
#[derive(Debug, Args)]
pub struct MockData {
    /// The folder to write
    #[arg(long)]
    pub out: PathBuf,
    /// Number of tenants
    #[arg(long, default_value_t = 2)]
    pub tenants: usize,
    /// Tickets per tenant
    #[arg(long, default_value_t = 100)]
    pub tickets: usize,
    /// Time entries per tenant
    #[arg(long, default_value_t = 100)]
    pub time_entries: usize,
    /// Satisfaction surveys per tenant
    #[arg(long, default_value_t = 30)]
    pub surveys: usize,
    /// Security alerts per tenant
    #[arg(long, default_value_t = 40)]
    pub alerts: usize,
    /// Number of days over which the rows are spread
    #[arg(long, default_value_t = 30)]
    pub days: u32,
    /// The last of these days
    #[arg(long, default_value = "2026-01-20", value_parser = day)]
    pub until: NaiveDate,
    /// The same seed gives the same files
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Deliberately bad rows per file
    #[arg(long, default_value_t = 0)]
    pub bad_rows: u32,
    /// One JSON array per file (tickets/TENANT.json) instead of lines (TENANT/tickets.jsonl)
    #[arg(long)]
    pub json: bool,
    /// Write into a folder that is not empty
    #[arg(long)]
    pub force: bool,
}
