//! The days that the mock data has rows of.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::Path;

use chrono::NaiveDate;

use crate::config::Config;
use crate::output::tell;

/// More than this is not read for a hint.
const MOST: u64 = 64 * 1024 * 1024;

/// Says to people who look on that a range has no day of the mock data: its KPIs will be 0.
pub(super) fn hint(config: &Config, from: NaiveDate, to: NaiveDate) {
    if config.mock_mode && std::io::stderr().is_terminal() {
        tell_if_outside(&config.mock_data_path, from, to);
    }
}

/// The same, whoever looks on.
pub(super) fn tell_if_outside(folder: &Path, from: NaiveDate, to: NaiveDate) {
    if let Some((first, last)) = days(folder)
        && (to < first || last < from)
    {
        tell!("the mock data in {} has rows from {first} to {last} only", folder.display());
    }
}

/// The first and the last day that stand in its files; none where there are too many to read, or
/// none.
fn days(folder: &Path) -> Option<(NaiveDate, NaiveDate)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).ok()?.filter_map(Result::ok) {
        // One folder a tenant, or one a kind of rows; the list of tenants has no rows.
        let inner = fs::read_dir(entry.path()).into_iter().flatten().filter_map(Result::ok);
        files.extend(inner.map(|it| it.path()).filter(|it| it.is_file()));
    }
    let sizes = files.iter().filter_map(|path| fs::metadata(path).ok()).map(|it| it.len());
    if sizes.sum::<u64>() > MOST {
        return None;
    }
    let mut range: Option<(NaiveDate, NaiveDate)> = None;
    for file in files.iter().filter_map(|path| File::open(path).ok()) {
        for line in BufReader::new(file).split(b'\n').map_while(Result::ok) {
            for day in line.split(|byte| *byte == b'"').filter_map(day) {
                range = Some(range.map_or((day, day), |(first, last)| (first.min(day), last.max(day))));
            }
        }
    }
    range
}

/// The day that a text begins with.
fn day(text: &[u8]) -> Option<NaiveDate> {
    let head = text.get(..10).filter(|it| it[4] == b'-' && it[7] == b'-')?;
    std::str::from_utf8(head).ok()?.parse().ok()
}
