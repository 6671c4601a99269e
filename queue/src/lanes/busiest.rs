//! The lanes with the most to do, and the rest summed up: what a monitor can show of thousands of tenants.

use std::cmp::Reverse;

use uuid::Uuid;

use crate::lanes::book::{Book, FlowId, Lane};
use crate::lanes::explain::Blocked;

/// A lane at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneLoad {
    /// Whose it is.
    pub tenant: Uuid,
    /// Jobs that may start.
    pub backlog: i64,
    /// Jobs that run.
    pub running: i64,
    /// Whether it has a backlog and its rate is used up.
    pub throttled: bool,
}

impl Book {
    /// All lanes with jobs that may start or run, of which the first `most` have the largest backlogs, in order; the others follow in none.
    /// Walks over the lanes, not over jobs.
    pub fn lane_loads(&self, most: usize) -> Vec<LaneLoad> {
        let loads = self.lanes.iter().map(|(tenant, lane)| self.load(*tenant, lane));
        let mut loads: Vec<LaneLoad> = loads.filter(|load| load.backlog > 0 || load.running > 0).collect();
        let by_backlog = |load: &LaneLoad| (Reverse(load.backlog), Reverse(load.running), load.tenant);
        if most > 0 && most < loads.len() {
            loads.select_nth_unstable_by_key(most - 1, by_backlog);
        }
        let first = most.min(loads.len());
        loads[..first].sort_unstable_by_key(by_backlog);
        loads
    }

    fn load(&self, tenant: Uuid, lane: &Lane) -> LaneLoad {
        let flows = lane.flows.iter().filter_map(|id| self.flows.get(id));
        let backlog = flows.flat_map(|flow| flow.levels.values()).map(|level| level.available.max(0)).sum();
        let live = FlowId { tenant, backfill: None };
        let throttled = backlog > 0 && matches!(self.blocked(live), Some(Blocked::Throttled(_)));
        LaneLoad { tenant, backlog, running: lane.running, throttled }
    }
}
