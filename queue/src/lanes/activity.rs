//! What is going on in a lane or a queue, as people read it: how many jobs are in each state, and
//! what is throttled.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::job::state::JobState;
use crate::lanes::blocked::Blocked;
use crate::lanes::gcra::Gcra;
use crate::lanes::sublane::{SubLane, SubLaneId};
use crate::lanes::view::QueueView;

/// The number of jobs in each state; finished ones count until they are deleted. A state that is
/// missing has none.
pub type CountsByState = HashMap<JobState, i64>;

/// What is going on in a lane or a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Activity {
    /// Its jobs by state.
    pub counts: CountsByState,
    /// When its rate allows the next start; none if that is now.
    pub throttled_until: Option<DateTime<Utc>>,
    /// The lanes that have jobs that may start.
    pub lanes_with_backlog: usize,
    /// Those of them whose rate allows no start now.
    pub throttled_lanes: usize,
}

impl QueueView {
    /// What is going on in the lane of `tenant`.
    pub fn lane_activity(&self, tenant: Uuid) -> Activity {
        let Some(lane) = self.lanes.get(&tenant) else { return Activity::default() };
        let sublanes: Vec<&SubLane> = lane.sublanes.iter().filter_map(|id| self.sublanes.get(id)).collect();
        let rate = self.settings.lane_limits(tenant).rate;
        let throttled_until = rate.and_then(|rate| Gcra::new(rate).next_start(lane.tat, self.now));
        let has_backlog = sublanes.iter().any(|sublane| sublane.has_backlog());
        Activity {
            counts: sum(sublanes),
            throttled_until,
            lanes_with_backlog: usize::from(has_backlog),
            throttled_lanes: usize::from(has_backlog && throttled_until.is_some()),
        }
    }

    /// What is going on in the whole queue. Walks over its lanes, not over its jobs.
    pub fn activity(&self) -> Activity {
        let mut activity = Activity { counts: sum(self.sublanes.values()), ..Activity::default() };
        let rate = self.settings.queue.rate;
        activity.throttled_until = rate.and_then(|rate| Gcra::new(rate).next_start(self.queue_tat, self.now));
        for (tenant, lane) in &self.lanes {
            if lane.sublanes.iter().any(|id| self.sublanes.get(id).is_some_and(SubLane::has_backlog)) {
                activity.lanes_with_backlog += 1;
                let is_throttled =
                    matches!(self.blocked(SubLaneId::live(*tenant)), Some(Blocked::Throttled(_)));
                activity.throttled_lanes += usize::from(is_throttled);
            }
        }
        activity
    }

    /// The jobs by state: all, those of a tenant, those of a backfill, or those of both. Walks over
    /// lanes, not over jobs.
    pub(crate) fn counts_of(&self, tenant: Option<Uuid>, backfill: Option<Uuid>) -> CountsByState {
        let is_wanted = |id: &SubLaneId| backfill.is_none() || id.backfill == backfill;
        let Some(tenant) = tenant else {
            return sum(self.sublanes.iter().filter(|(id, _)| is_wanted(id)).map(|(_, sublane)| sublane));
        };
        let ids = self.lanes.get(&tenant).into_iter().flat_map(|lane| &lane.sublanes);
        sum(ids.filter(|id| is_wanted(id)).filter_map(|id| self.sublanes.get(id)))
    }
}

fn sum<'a>(sublanes: impl IntoIterator<Item = &'a SubLane>) -> CountsByState {
    let mut counts = CountsByState::new();
    for (state, count) in sublanes.into_iter().flat_map(SubLane::by_state) {
        *counts.entry(state).or_default() += count;
    }
    counts
}
