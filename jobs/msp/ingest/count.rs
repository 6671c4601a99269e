//! How many rows this process has stored and rejected, for its metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::sources::Dataset;

/// Accepted and rejected rows of each dataset, in the order of [`Dataset::ALL`].
static ROWS: [[AtomicU64; 2]; Dataset::ALL.len()] =
    [const { [const { AtomicU64::new(0) }; 2] }; Dataset::ALL.len()];

pub(crate) fn count_rows(dataset: Dataset, accepted: u64, rejected: u64) {
    for (of, rows) in Dataset::ALL.iter().zip(&ROWS) {
        if *of == dataset {
            rows[0].fetch_add(accepted, Ordering::Relaxed);
            rows[1].fetch_add(rejected, Ordering::Relaxed);
        }
    }
}

/// The rows that this process has read and stored so far: dataset, `accepted` or `rejected`, and
/// how many. Those that another attempt reads again count again.
pub(crate) fn ingested_rows() -> impl Iterator<Item = (&'static str, &'static str, u64)> {
    Dataset::ALL.iter().zip(&ROWS).flat_map(|(dataset, rows)| {
        ["accepted", "rejected"]
            .into_iter()
            .zip(rows)
            .map(|(outcome, rows)| (dataset.name(), outcome, rows.load(Ordering::Relaxed)))
    })
}
