//! Keeps the ready set of a view in step with what the view knows.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::lanes::blocked::Blocked;
use crate::lanes::gcra::Gcra;
use crate::lanes::ready_set::{Readiness, StartTag};
use crate::lanes::sublane::{SubLane, SubLaneId};
use crate::lanes::view::QueueView;

impl QueueView {
    /// When the next lane that is throttled may start again.
    pub(crate) fn next_due(&self) -> Option<DateTime<Utc>> {
        match self.queue_blocked() {
            Some(Blocked::QueueThrottled(at)) => Some(at),
            _ => self.ready_set.first_throttled().map(|(at, _)| at),
        }
    }

    /// Puts a sub-lane into the ready set, to the throttled ones, or takes it out, as its limits
    /// say now.
    pub(crate) fn reschedule(&mut self, id: SubLaneId) {
        let readiness = match self.blocked(id) {
            _ if !self.sublanes.get(&id).is_some_and(SubLane::has_backlog) => None,
            Some(Blocked::Throttled(at)) => {
                let rate = self.settings.lane_limits(id.tenant).rate;
                Some(Readiness::Throttled(rate.map_or(at, |rate| Gcra::new(rate).due(at))))
            }
            // It stays ready, as nothing reschedules it when another sub-lane of its backfill gives
            // capacity back.
            None | Some(Blocked::BackfillFull { .. }) => {
                let finish_tag = self.sublanes.get(&id).map_or(0.0, |sublane| sublane.finish_tag);
                // While it stays ready it keeps its start tag. When it becomes ready again, it gets
                // no credit for the time that it was away.
                let start = self.ready_set.start_tag(id).unwrap_or(self.virtual_time(id)).max(finish_tag);
                Some(Readiness::Ready(StartTag(start)))
            }
            Some(_) => None,
        };
        self.ready_set.put(id, readiness);
    }

    /// Reschedules all sub-lanes of a lane, which share its limits.
    pub(crate) fn reschedule_lane(&mut self, tenant: Uuid) {
        let sublanes = self.lanes.get(&tenant).map(|lane| lane.sublanes.clone()).unwrap_or_default();
        for id in sublanes {
            self.reschedule(id);
        }
    }

    /// Reschedules everything: the settings have changed.
    pub(crate) fn reschedule_all(&mut self) {
        let sublanes: Vec<_> = self.sublanes.keys().copied().collect();
        for id in sublanes {
            self.reschedule(id);
        }
    }

    /// Makes the sub-lanes ready whose rate lets them start now.
    pub(crate) fn reschedule_due(&mut self) {
        while let Some((at, id)) = self.ready_set.first_throttled().filter(|(at, _)| *at <= self.now) {
            self.reschedule(id);
            if self.ready_set.is_throttled_until(at, id) {
                return;
            }
        }
    }
}
