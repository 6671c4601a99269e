//! The states of a backfill.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of a backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackfillState {
    /// Its slices become jobs, which run.
    Running,
    /// None of its jobs starts and no slice becomes a job; running jobs run on.
    Paused,
    /// Its jobs are being cancelled.
    Cancelling,
    /// Every slice was done or skipped. Final.
    Completed,
    /// Every slice is done, but jobs were discarded or cancelled. Final, unless these are retried.
    CompletedWithFailures,
    /// Somebody cancelled it, and none of its jobs is live any more. Final.
    Cancelled,
}

impl BackfillState {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Running,
        Self::Paused,
        Self::Cancelling,
        Self::Completed,
        Self::CompletedWithFailures,
        Self::Cancelled,
    ];

    /// The name in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Cancelling => "cancelling",
            Self::Completed => "completed",
            Self::CompletedWithFailures => "completed_with_failures",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the backfill has ended.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::CompletedWithFailures | Self::Cancelled)
    }
}

impl fmt::Display for BackfillState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
