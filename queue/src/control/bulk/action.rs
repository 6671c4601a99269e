//! What a bulk action does to jobs, and to which.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::job::state::JobState;
use crate::read::JobFilter;

/// What a bulk action does to jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BulkAction {
    /// Retries discarded and cancelled jobs, as [`control::retry`](crate::control::retry) does.
    Retry,
    /// Cancels jobs that are not final, as [`control::cancel`](crate::control::cancel) does.
    Cancel,
    /// Deletes final jobs, except those that a job which is not final depends on.
    Delete,
}

impl BulkAction {
    /// The name in requests and arguments.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Cancel => "cancel",
            Self::Delete => "delete",
        }
    }

    /// Whether it can be done to a job in `state`.
    pub const fn applies_to(self, state: JobState) -> bool {
        match self {
            Self::Retry => matches!(state, JobState::Discarded | JobState::Cancelled),
            Self::Cancel => !state.is_final(),
            Self::Delete => state.is_final(),
        }
    }

    /// The states of the filter to which it applies; empty when it can change no job.
    pub fn states(self, filter: &JobFilter) -> Vec<JobState> {
        let filtered = filter.states.as_deref().unwrap_or(&JobState::ALL);
        JobState::ALL
            .into_iter()
            .filter(|state| filtered.contains(state) && self.applies_to(*state))
            .collect()
    }
}

impl fmt::Display for BulkAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
