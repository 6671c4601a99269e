//! Writes mock data of any size: tenants, tickets, time entries, surveys, security alerts, and
//! bad rows on purpose. The same settings always give the same bytes.
//!
//! Tickets follow the days of the week, and every five weeks there is a day that the KPIs find
//! unusual.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use chrono::{Datelike, Days, NaiveDate};
use rand::Rng as _;
use serde::Serialize;
use uuid::Uuid;

use crate::sources::Dataset;

mod bad;
mod calendar;
mod good;
mod phrases;
mod random;

use calendar::Calendar;
use good::Rows;

/// What to write. The counts are per tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generate {
    /// The folder to write to; made when it is not there.
    pub out: PathBuf,
    /// How many tenants: `tenant_demo_1`, `tenant_demo_2`, …
    pub tenants: usize,
    /// Tickets for each tenant.
    pub tickets: usize,
    /// Time entries for each tenant.
    pub time_entries: usize,
    /// Surveys for each tenant.
    pub surveys: usize,
    /// Security alerts for each tenant.
    pub alerts: usize,
    /// Over how many days the rows are spread, counted back from `until`; 0 is taken as 1.
    pub days: u32,
    /// The last day (UTC); nothing is dated after its end.
    pub until: NaiveDate,
    /// What all that is random grows from.
    pub seed: u64,
    /// Bad rows in each file besides the good ones, spread evenly, each kind in turn.
    pub bad_rows: u32,
    /// Which of the two layouts to write.
    pub layout: Layout,
    /// Write even where `out` is not empty. Files of the same names are replaced, and those of
    /// the other layout which would hide or double them are removed; others stay.
    pub force: bool,
}

/// The two file layouts of [`MockSource`](crate::sources::MockSource).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `<out>/<tenant>/<dataset>.jsonl`, a row a line.
    Jsonl,
    /// `<out>/<dataset>/<tenant>.json`, an array.
    Json,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files, with `tenants.json`.
    pub files: u64,
    /// Good rows in all dataset files.
    pub good_rows: u64,
    /// Bad rows in all dataset files.
    pub bad_rows: u64,
    /// Bytes in all files.
    pub bytes: u64,
}

#[derive(Serialize)]
struct Tenant {
    id: Uuid,
    slug: String,
    name: String,
    is_active: bool,
    llm_enabled: bool,
    time_zone: &'static str,
}

/// Writes the data. Memory does not grow with the counts. A run that fails leaves the files it
/// had written.
///
/// # Errors
///
/// `AlreadyExists` when `out` is not empty and `force` is not set; `InvalidInput` when the days
/// are not all within 1970 to 2099; else what the file system says.
pub fn generate(settings: &Generate) -> io::Result<Summary> {
    let first = first_day(settings)?;
    fs::create_dir_all(&settings.out)?;
    if !settings.force && fs::read_dir(&settings.out)?.next().is_some() {
        let what = format!("{} is not empty", settings.out.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
    }
    let mut summary = Summary::default();
    let tenants: Vec<Tenant> = (0..settings.tenants).map(|index| tenant(settings.seed, index)).collect();
    let path = settings.out.join("tenants.json");
    write_counted(&path, &mut summary, |out| {
        serde_json::to_writer_pretty(&mut *out, &tenants)?;
        out.write_all(b"\n")
    })?;
    for (index, tenant) in tenants.iter().enumerate() {
        let (key, days) = ([settings.seed, index as u64], settings.days.max(1));
        let rows = Rows {
            slug: tenant.slug.clone(),
            key,
            first,
            days,
            calendar: Calendar::new(key, first, days),
            tickets: settings.tickets as u64,
        };
        for dataset in Dataset::ALL {
            write_dataset(settings, &rows, dataset, &mut summary)?;
        }
    }
    Ok(summary)
}

fn first_day(settings: &Generate) -> io::Result<NaiveDate> {
    let back = Days::new(u64::from(settings.days.max(1)) - 1);
    let first = settings.until.checked_sub_days(back);
    first.filter(|first| first.year() >= 1970 && settings.until.year() < 2100).ok_or_else(|| {
        let what = "the days must lie between 1970 and 2099";
        io::Error::new(io::ErrorKind::InvalidInput, what)
    })
}

fn tenant(seed: u64, index: usize) -> Tenant {
    let mut bytes = [0; 16];
    random::rng([seed, index as u64], random::TENANT, 0).fill_bytes(&mut bytes);
    let number = index + 1;
    Tenant {
        id: uuid::Builder::from_random_bytes(bytes).into_uuid(),
        slug: format!("tenant_demo_{number}"),
        name: format!("Demo Client {number}"),
        is_active: true,
        llm_enabled: index.is_multiple_of(2),
        time_zone: phrases::TIME_ZONES[index % phrases::TIME_ZONES.len()],
    }
}

fn write_dataset(
    settings: &Generate,
    rows: &Rows,
    dataset: Dataset,
    summary: &mut Summary,
) -> io::Result<()> {
    let lines = settings.out.join(format!("{}/{dataset}.jsonl", rows.slug));
    let array = settings.out.join(format!("{dataset}/{}.json", rows.slug));
    let (path, other) = match settings.layout {
        Layout::Jsonl => (lines, array),
        Layout::Json => (array, lines),
    };
    if settings.force && other.is_file() {
        fs::remove_file(&other)?;
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let good = match dataset {
        Dataset::Tickets => settings.tickets,
        Dataset::TimeEntries => settings.time_entries,
        Dataset::Csat => settings.surveys,
        Dataset::SecurityAlerts => settings.alerts,
    } as u64;
    write_counted(&path, summary, |out| write_rows(settings, rows, dataset, good, out))?;
    summary.good_rows += good;
    summary.bad_rows += u64::from(settings.bad_rows);
    Ok(())
}

fn write_rows(
    settings: &Generate,
    rows: &Rows,
    dataset: Dataset,
    good: u64,
    out: &mut impl Write,
) -> io::Result<()> {
    let (open, between, close) = match settings.layout {
        Layout::Jsonl => ("", "\n", "\n"),
        Layout::Json => ("[\n  ", ",\n  ", "\n]\n"),
    };
    let bad = u64::from(settings.bad_rows);
    let total = good + bad;
    let (mut good_written, mut bad_written) = (0, 0);
    for place in 0..total {
        out.write_all(if place == 0 { open } else { between }.as_bytes())?;
        // Half a step off, so that the bad rows stand among the good and not at the end.
        let bad_due = (u128::from(place + 1) * u128::from(bad) + u128::from(total / 2)) / u128::from(total);
        if bad_due > u128::from(bad_written) {
            out.write_all(&bad::row(rows, dataset, bad_written))?;
            bad_written += 1;
        } else {
            rows.write(dataset, good_written, out)?;
            good_written += 1;
        }
    }
    let close = match (total, settings.layout) {
        (0, Layout::Jsonl) => "",
        (0, Layout::Json) => "[]\n",
        _ => close,
    };
    out.write_all(close.as_bytes())
}

fn write_counted(
    path: &Path,
    summary: &mut Summary,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(256 * 1024, File::create(path)?);
    write(&mut out)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    summary.files += 1;
    summary.bytes += file.metadata()?.len();
    Ok(())
}

#[cfg(test)]
mod tests;
