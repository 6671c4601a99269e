//! Why a lane does not start its next job, from the same facts that claims are planned on.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::job::state::JobState;
use crate::lanes::gcra::Gcra;
use crate::lanes::sublane::SubLaneId;
use crate::lanes::view::QueueView;

/// What keeps the next job of a lane from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// The queue is paused.
    QueuePaused,
    /// The lane is paused.
    LanePaused,
    /// The backfill is paused.
    BackfillPaused,
    /// The lane runs as many jobs as it may.
    LaneFull {
        /// Its `max_running`.
        max_running: u32,
    },
    /// The queue runs as many jobs as it may.
    QueueFull {
        /// Its `max_running`.
        max_running: u32,
    },
    /// The backfill runs as many jobs as it may.
    BackfillFull {
        /// Its `max_running`.
        max_running: u32,
    },
    /// The lane's rate allows no start before this time.
    Throttled(DateTime<Utc>),
    /// The rate of the whole queue allows no start before this time.
    QueueThrottled(DateTime<Utc>),
}

impl QueueView {
    /// What keeps the next job of `tenant` (of `backfill`, or of its live work) from starting; none
    /// when only other jobs are before it.
    pub fn explain(&self, tenant: Uuid, backfill: Option<Uuid>) -> Option<Blocked> {
        let id = SubLaneId { tenant, backfill };
        self.paused(id).or_else(|| self.queue_blocked()).or_else(|| self.blocked(id))
    }

    /// The pause that keeps a sub-lane from starting. It is named before any other reason, as it
    /// does not end by itself.
    fn paused(&self, id: SubLaneId) -> Option<Blocked> {
        let backfill = id.backfill.and_then(|id| self.settings.backfills.get(&id));
        if self.settings.paused {
            Some(Blocked::QueuePaused)
        } else if self.settings.lane_paused(id.tenant) {
            Some(Blocked::LanePaused)
        } else {
            backfill.filter(|backfill| backfill.paused).map(|_| Blocked::BackfillPaused)
        }
    }

    /// What keeps all lanes of the queue from starting.
    pub(crate) fn queue_blocked(&self) -> Option<Blocked> {
        if self.settings.paused {
            return Some(Blocked::QueuePaused);
        }
        let limits = self.settings.queue;
        if let Some(max_running) = limits.max_running.filter(|max| self.running >= i64::from(*max)) {
            return Some(Blocked::QueueFull { max_running });
        }
        let until = limits.rate.and_then(|rate| Gcra::new(rate).next_start(self.queue_tat, self.now));
        until.map(Blocked::QueueThrottled)
    }

    /// What keeps a sub-lane from starting, apart from what keeps the whole queue.
    pub(crate) fn blocked(&self, id: SubLaneId) -> Option<Blocked> {
        if self.settings.lane_paused(id.tenant) {
            return Some(Blocked::LanePaused);
        }
        let backfill = id.backfill.and_then(|backfill| self.settings.backfills.get(&backfill));
        if backfill.is_some_and(|settings| settings.paused) {
            return Some(Blocked::BackfillPaused);
        }
        let limits = self.settings.lane_limits(id.tenant);
        let lane = self.lanes.get(&id.tenant);
        let running = lane.map_or(0, |lane| lane.running);
        if let Some(max_running) = limits.max_running.filter(|max| running >= i64::from(*max)) {
            return Some(Blocked::LaneFull { max_running });
        }
        let tat = lane.and_then(|lane| lane.tat);
        let until = limits.rate.and_then(|rate| Gcra::new(rate).next_start(tat, self.now));
        until.map(Blocked::Throttled).or_else(|| self.backfill_full(id))
    }

    fn backfill_full(&self, id: SubLaneId) -> Option<Blocked> {
        let settings = self.settings.backfills.get(&id.backfill?)?;
        let running = self.backfill(id.backfill?).of(JobState::Running);
        let max_running = settings.max_running.filter(|max| running >= i64::from(*max))?;
        Some(Blocked::BackfillFull { max_running })
    }
}
