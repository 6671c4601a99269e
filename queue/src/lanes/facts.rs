//! What a book tells people: how many jobs of a lane or a queue stand where, and what each may do.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::job::state::JobState;
use crate::lanes::book::{Book, Flow, FlowId};
use crate::lanes::explain::Blocked;
use crate::lanes::gcra::Gcra;
use crate::read::JobRow;

/// Jobs by state; those that ended count until they are deleted. A state that is not there has
/// none.
pub type Counts = HashMap<JobState, i64>;

/// Where a job that may start stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What keeps the next job of its lane from starting; none when it only has to wait for its
    /// turn.
    pub blocked: Option<Blocked>,
    /// Jobs of its lane that run.
    pub running: i64,
    /// Jobs of its lane (or of its backfill's part of it) that may start and start before it; those
    /// of its own priority are counted to 100.
    pub ahead: i64,
    /// The database's time of the look.
    pub now: DateTime<Utc>,
}

/// What is going on in a lane or a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Jobs by state.
    pub counts: Counts,
    /// Until when its rate is used up.
    pub throttled_until: Option<DateTime<Utc>>,
    /// Lanes with jobs that may start.
    pub lanes_with_backlog: usize,
    /// Of these, lanes whose rate is used up.
    pub throttled_lanes: usize,
}

impl Book {
    /// Whether a limit or a pause keeps a job from starting that may start.
    pub(crate) fn is_blocked(&self, job: &JobRow) -> bool {
        self.explain(job.tenant_id, job.backfill_id).is_some()
    }

    /// Where a job stands that may start; `ahead` of its own priority start before it.
    pub(crate) fn standing(&self, job: &JobRow, ahead: i64) -> Standing {
        let (tenant, backfill) = (job.tenant_id, job.backfill_id);
        let flow = self.flows.get(&FlowId { tenant, backfill });
        let levels = flow.into_iter().flat_map(|flow| &flow.levels);
        let above = levels.filter(|(of, _)| of.0 > job.priority).map(|(_, level)| level.available.max(0));
        Standing {
            blocked: self.explain(tenant, backfill),
            running: self.lanes.get(&tenant).map_or(0, |lane| lane.running),
            ahead: ahead + above.sum::<i64>(),
            now: self.now,
        }
    }

    /// What is going on in the lane of `tenant`.
    pub fn lane_facts(&self, tenant: Uuid) -> Facts {
        let Some(lane) = self.lanes.get(&tenant) else { return Facts::default() };
        let flows: Vec<&Flow> = lane.flows.iter().filter_map(|id| self.flows.get(id)).collect();
        let rate = self.settings.lane(tenant).rate;
        let throttled_until = rate.and_then(|rate| Gcra::new(rate).next_start(lane.tat, self.now));
        let has_backlog = flows.iter().any(|flow| flow.has_backlog());
        Facts {
            counts: sum(flows),
            throttled_until,
            lanes_with_backlog: usize::from(has_backlog),
            throttled_lanes: usize::from(has_backlog && throttled_until.is_some()),
        }
    }

    /// Its jobs by state: all, or those of a tenant, of a backfill, of both. Walks over lanes, not
    /// over jobs.
    pub(crate) fn jobs(&self, tenant: Option<Uuid>, backfill: Option<Uuid>) -> Counts {
        let wanted = |id: &FlowId| backfill.is_none() || id.backfill == backfill;
        let Some(tenant) = tenant else {
            return sum(self.flows.iter().filter(|(id, _)| wanted(id)).map(|(_, flow)| flow));
        };
        let ids = self.lanes.get(&tenant).into_iter().flat_map(|lane| &lane.flows);
        sum(ids.filter(|id| wanted(id)).filter_map(|id| self.flows.get(id)))
    }

    /// What is going on in the whole queue. Walks over its lanes, not over its jobs.
    pub fn facts(&self) -> Facts {
        let mut facts = Facts { counts: sum(self.flows.values()), ..Facts::default() };
        let rate = self.settings.queue.rate;
        facts.throttled_until = rate.and_then(|rate| Gcra::new(rate).next_start(self.queue_tat, self.now));
        for (tenant, lane) in &self.lanes {
            if lane.flows.iter().any(|id| self.flows.get(id).is_some_and(Flow::has_backlog)) {
                facts.lanes_with_backlog += 1;
                let live = FlowId { tenant: *tenant, backfill: None };
                facts.throttled_lanes +=
                    usize::from(matches!(self.blocked(live), Some(Blocked::Throttled(_))));
            }
        }
        facts
    }
}

impl Flow {
    pub(super) fn has_backlog(&self) -> bool {
        self.levels.values().any(|level| level.available > 0)
    }
}

fn sum<'a>(flows: impl IntoIterator<Item = &'a Flow>) -> Counts {
    let mut counts = Counts::new();
    for flow in flows {
        for ((_, state), count) in &flow.counts {
            *counts.entry(JobState::ALL[usize::from(*state)]).or_default() += count;
        }
    }
    counts
}
