//! What a queue view knows of a lane, and of the parts of its work that are scheduled apart.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::job::state::JobState;
use crate::lanes::priority_level::PriorityLevel;

/// A sub-lane: the jobs of a lane that are scheduled together. These are the tenant's live work, or
/// its part of one backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct SubLaneId {
    pub(crate) tenant: Uuid,
    pub(crate) backfill: Option<Uuid>,
}

impl SubLaneId {
    /// The live work of `tenant`.
    pub(crate) fn live(tenant: Uuid) -> Self {
        Self { tenant, backfill: None }
    }
}

/// What a view knows of a sub-lane.
#[derive(Debug, Clone, Default)]
pub(crate) struct SubLane {
    /// Its jobs that may start, by priority, highest first.
    pub(crate) levels: BTreeMap<Reverse<i16>, PriorityLevel>,
    /// The number of its jobs, by priority and state (the state's place in [`JobState::ALL`]).
    pub(crate) counts: BTreeMap<(i16, u8), i64>,
    /// The finish tag `F` of its last start in start-time fair queueing: the virtual time before
    /// which its next job does not start.
    pub(crate) finish_tag: f64,
}

impl SubLane {
    /// Whether it has no job in any state.
    pub(crate) fn is_empty(&self) -> bool {
        self.counts.values().all(|count| *count == 0)
    }

    /// Whether it has a job that may start.
    pub(crate) fn has_backlog(&self) -> bool {
        self.levels.values().any(|level| level.available > 0)
    }

    /// The number of its jobs in each state, one entry a priority.
    pub(crate) fn by_state(&self) -> impl Iterator<Item = (JobState, i64)> {
        self.counts.iter().map(|((_, state), count)| (JobState::ALL[usize::from(*state)], *count))
    }
}

/// What the sub-lanes of a tenant share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lane {
    /// The theoretical arrival time (TAT) of its next start by its rate, as GCRA counts it; none
    /// before its first start.
    pub(crate) tat: Option<DateTime<Utc>>,
    /// Its jobs that run.
    pub(crate) running: i64,
    /// Its sub-lanes.
    pub(crate) sublanes: Vec<SubLaneId>,
}
