//! How commands print what they found.

use chrono::{DateTime, Utc};
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

use crate::output::say;

/// A table without lines, as wide as it needs to be: for people and for `awk`.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    table
}

/// Prints a table, or says that there is nothing in it.
pub(super) fn say_table(table: &Table, nothing: &str) -> anyhow::Result<()> {
    if table.is_empty() { say!("{nothing}") } else { say!("{table}") }
}

/// A time, to the second.
pub(super) fn instant(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
