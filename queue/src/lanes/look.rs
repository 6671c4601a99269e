//! What people look at of lanes: who is busy, who is held back, and what one lane may do and does.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::lanes::book::{Book, Flow, FlowId, Lane};
use crate::lanes::explain::Blocked;
use crate::lanes::facts::Counts;
use crate::lanes::gcra::Gcra;
use crate::lanes::limits::{LaneLimits, QueueLimits};

/// A lane in which something waits or runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusyLane {
    /// Whose lane it is.
    pub tenant: Uuid,
    /// Its jobs that may start.
    pub available: i64,
    /// Its jobs that run.
    pub running: i64,
    /// What keeps its live work from starting, the queue's own limits aside.
    pub blocked: Option<Blocked>,
}

impl BusyLane {
    /// Whether its rate is used up while something waits.
    pub fn is_throttled(&self) -> bool {
        self.available > 0 && matches!(self.blocked, Some(Blocked::Throttled(_)))
    }
}

/// One lane at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneLook {
    /// Its jobs by state.
    pub counts: Counts,
    /// Whether nothing of it starts.
    pub paused: bool,
    /// Whether nothing of the whole queue starts.
    pub queue_paused: bool,
    /// Its own limits.
    pub own: Option<LaneLimits>,
    /// What applies to it.
    pub limits: LaneLimits,
    /// What all lanes of the queue together may do.
    pub of_queue: QueueLimits,
    /// How many its rate lets start at this moment; none without a rate.
    pub rate_left: Option<i64>,
    /// Until when its rate is used up.
    pub throttled_until: Option<DateTime<Utc>>,
    /// Its weight against those of all lanes with live work that may start and are not paused; none when it is not one of these.
    pub share_due: Option<f64>,
    /// The database's time of the look.
    pub now: DateTime<Utc>,
}

impl Book {
    /// The lanes in which something waits or runs, in no order. Walks over lanes, not over jobs.
    pub fn busy_lanes(&self) -> Vec<BusyLane> {
        let busy = self.lanes.iter().map(|(tenant, lane)| {
            let levels = lane.flows.iter().filter_map(|id| self.flows.get(id)).flat_map(|flow| &flow.levels);
            BusyLane {
                tenant: *tenant,
                available: levels.map(|(_, level)| level.available.max(0)).sum(),
                running: lane.running,
                blocked: self.blocked(FlowId { tenant: *tenant, backfill: None }),
            }
        });
        busy.filter(|lane| lane.available > 0 || lane.running > 0).collect()
    }

    /// The lane of `tenant`.
    pub fn lane_look(&self, tenant: Uuid) -> LaneLook {
        let facts = self.lane_facts(tenant);
        let limits = self.settings.lane(tenant);
        let tat = self.lanes.get(&tenant).and_then(|lane| lane.tat);
        LaneLook {
            counts: facts.counts,
            paused: self.settings.lane_paused(tenant),
            queue_paused: self.settings.paused,
            own: self.settings.lanes.get(&tenant).and_then(|lane| lane.limits),
            limits,
            of_queue: self.settings.queue,
            rate_left: limits.rate.map(|rate| Gcra::new(rate).allowed(tat, self.now)),
            throttled_until: facts.throttled_until,
            share_due: self.share_due(tenant),
            now: self.now,
        }
    }

    fn share_due(&self, tenant: Uuid) -> Option<f64> {
        let takes_part = |id: Uuid, lane: &Lane| {
            !self.settings.lane_paused(id) && lane.flows.iter().any(|id| self.waits(*id))
        };
        self.lanes.get(&tenant).filter(|lane| takes_part(tenant, lane))?;
        let all = self.lanes.iter().filter(|(id, lane)| takes_part(**id, lane));
        let weights: f64 = all.map(|(id, _)| self.settings.lane(*id).weight).sum();
        Some(self.settings.lane(tenant).weight / weights)
    }

    /// Whether live work waits there.
    fn waits(&self, id: FlowId) -> bool {
        id.backfill.is_none() && self.flows.get(&id).is_some_and(Flow::has_backlog)
    }
}
