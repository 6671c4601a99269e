//! The lanes as people see them: which are busy, which are blocked, and what one lane may do and
//! does.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::lanes::activity::CountsByState;
use crate::lanes::blocked::Blocked;
use crate::lanes::gcra::Gcra;
use crate::lanes::limits::{LaneLimits, QueueLimits};
use crate::lanes::sublane::{Lane, SubLane, SubLaneId};
use crate::lanes::view::QueueView;

/// A lane in which jobs may start or run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusyLane {
    /// The tenant whose lane it is.
    pub tenant: Uuid,
    /// Its jobs that may start.
    pub available: i64,
    /// Its jobs that run.
    pub running: i64,
    /// What keeps its live work from starting, apart from what keeps the whole queue.
    pub blocked: Option<Blocked>,
}

impl BusyLane {
    /// Whether its rate allows no start now, while jobs could start.
    pub fn is_throttled(&self) -> bool {
        self.available > 0 && matches!(self.blocked, Some(Blocked::Throttled(_)))
    }
}

/// One lane at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneStatus {
    /// Its jobs by state.
    pub counts: CountsByState,
    /// Whether the lane is paused.
    pub paused: bool,
    /// Whether the whole queue is paused.
    pub queue_paused: bool,
    /// Its own limits, if it has any.
    pub own: Option<LaneLimits>,
    /// The limits that apply to it.
    pub limits: LaneLimits,
    /// The limits of all lanes of the queue together.
    pub of_queue: QueueLimits,
    /// How many starts its rate allows at this moment; none without a rate.
    pub rate_left: Option<i64>,
    /// When its rate allows the next start; none if that is now.
    pub throttled_until: Option<DateTime<Utc>>,
    /// Its weight as a share of the weights of all lanes that have live work that may start and are
    /// not paused; none when it is not one of them.
    pub share_due: Option<f64>,
    /// The database's time at which this was so.
    pub now: DateTime<Utc>,
}

impl QueueView {
    /// The lanes in which jobs may start or run, in no order. Walks over lanes, not over jobs.
    pub fn busy_lanes(&self) -> Vec<BusyLane> {
        let busy = self.lanes.iter().map(|(tenant, lane)| {
            let sublanes = lane.sublanes.iter().filter_map(|id| self.sublanes.get(id));
            let levels = sublanes.flat_map(|sublane| sublane.levels.values());
            BusyLane {
                tenant: *tenant,
                available: levels.map(|level| level.available.max(0)).sum(),
                running: lane.running,
                blocked: self.blocked(SubLaneId::live(*tenant)),
            }
        });
        busy.filter(|lane| lane.available > 0 || lane.running > 0).collect()
    }

    /// The lane of `tenant`.
    pub fn lane_status(&self, tenant: Uuid) -> LaneStatus {
        let activity = self.lane_activity(tenant);
        let limits = self.settings.lane_limits(tenant);
        let tat = self.lanes.get(&tenant).and_then(|lane| lane.tat);
        LaneStatus {
            counts: activity.counts,
            paused: self.settings.lane_paused(tenant),
            queue_paused: self.settings.paused,
            own: self.settings.lanes.get(&tenant).and_then(|lane| lane.limits),
            limits,
            of_queue: self.settings.queue,
            rate_left: limits.rate.map(|rate| Gcra::new(rate).allowed(tat, self.now)),
            throttled_until: activity.throttled_until,
            share_due: self.share_due(tenant),
            now: self.now,
        }
    }

    fn share_due(&self, tenant: Uuid) -> Option<f64> {
        let takes_part = |id: Uuid, lane: &Lane| {
            !self.settings.lane_paused(id) && lane.sublanes.iter().any(|id| self.has_live_backlog(*id))
        };
        self.lanes.get(&tenant).filter(|lane| takes_part(tenant, lane))?;
        let all = self.lanes.iter().filter(|(id, lane)| takes_part(**id, lane));
        let weights: f64 = all.map(|(id, _)| self.settings.lane_limits(*id).weight).sum();
        Some(self.settings.lane_limits(tenant).weight / weights)
    }

    /// Whether a sub-lane is live work, and has jobs that may start.
    fn has_live_backlog(&self, id: SubLaneId) -> bool {
        id.backfill.is_none() && self.sublanes.get(&id).is_some_and(SubLane::has_backlog)
    }
}
