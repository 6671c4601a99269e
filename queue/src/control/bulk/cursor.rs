//! How far a bulk action is.

use serde::{Deserialize, Serialize};

/// Most jobs that one step changes.
pub(super) const MAX_JOBS: i64 = 1000;
/// Most rows that one step reads, where few of them match.
pub(super) const MAX_ROWS: i64 = 16_000;

/// How far a bulk action is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The `seq` up to which all jobs are done.
    pub after: i64,
    /// How many rows the next step reads. It grows while few of them match.
    pub(super) window: i64,
}

impl Default for Cursor {
    /// The beginning: no job is done yet.
    fn default() -> Self {
        Self { after: 0, window: MAX_JOBS }
    }
}
