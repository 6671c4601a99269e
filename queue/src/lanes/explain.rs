//! Why a lane does not start its next job: the same facts as the claim's.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::job::state::JobState;
use crate::lanes::book::{Book, FlowId};
use crate::lanes::gcra::Gcra;

/// What keeps the next job of a lane from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// The queue is paused.
    QueuePaused,
    /// The lane is paused.
    LanePaused,
    /// The backfill is paused.
    BackfillPaused,
    /// The lane runs as many as it may.
    LaneFull {
        /// Its `max_running`.
        max_running: u32,
    },
    /// The queue runs as many as it may.
    QueueFull {
        /// Its `max_running`.
        max_running: u32,
    },
    /// The backfill runs as many as it may.
    BackfillFull {
        /// Its `max_running`.
        max_running: u32,
    },
    /// The lane's rate is used up until then.
    Throttled(DateTime<Utc>),
    /// The rate of the whole queue is used up until then.
    QueueThrottled(DateTime<Utc>),
}

impl Book {
    /// What keeps the next job of `tenant` (of `backfill`, or its live work) from starting; none when it only has to
    /// wait for its turn.
    pub fn explain(&self, tenant: Uuid, backfill: Option<Uuid>) -> Option<Blocked> {
        let id = FlowId { tenant, backfill };
        self.paused(id).or_else(|| self.queue_blocked()).or_else(|| self.blocked(id))
    }

    /// The pause that keeps a flow from starting: nothing else ends it but somebody who resumes.
    fn paused(&self, id: FlowId) -> Option<Blocked> {
        let backfill = id.backfill.and_then(|id| self.settings.backfills.get(&id));
        if self.settings.paused {
            Some(Blocked::QueuePaused)
        } else if self.settings.lane_paused(id.tenant) {
            Some(Blocked::LanePaused)
        } else {
            backfill.filter(|backfill| backfill.paused).map(|_| Blocked::BackfillPaused)
        }
    }

    /// The database's time at the last look.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// What keeps the whole queue from starting.
    pub(crate) fn queue_blocked(&self) -> Option<Blocked> {
        if self.settings.paused {
            return Some(Blocked::QueuePaused);
        }
        let limits = self.settings.queue;
        if let Some(max_running) = limits.max_running.filter(|most| self.running >= i64::from(*most)) {
            return Some(Blocked::QueueFull { max_running });
        }
        let until = limits.rate.and_then(|rate| Gcra::new(rate).next_start(self.queue_tat, self.now));
        until.map(Blocked::QueueThrottled)
    }

    /// What keeps a flow from starting, the queue aside.
    pub(crate) fn blocked(&self, id: FlowId) -> Option<Blocked> {
        if self.settings.lane_paused(id.tenant) {
            return Some(Blocked::LanePaused);
        }
        let backfill = id.backfill.and_then(|backfill| self.settings.backfills.get(&backfill));
        if backfill.is_some_and(|settings| settings.paused) {
            return Some(Blocked::BackfillPaused);
        }
        let limits = self.settings.lane(id.tenant);
        let lane = self.lanes.get(&id.tenant);
        let running = lane.map_or(0, |lane| lane.running);
        if let Some(max_running) = limits.max_running.filter(|most| running >= i64::from(*most)) {
            return Some(Blocked::LaneFull { max_running });
        }
        let tat = lane.and_then(|lane| lane.tat);
        let until = limits.rate.and_then(|rate| Gcra::new(rate).next_start(tat, self.now));
        until.map(Blocked::Throttled).or_else(|| self.backfill_full(id))
    }

    fn backfill_full(&self, id: FlowId) -> Option<Blocked> {
        let settings = self.settings.backfills.get(&id.backfill?)?;
        let running = self.backfill(id.backfill?).of(JobState::Running);
        let max_running = settings.max_running.filter(|most| running >= i64::from(*most))?;
        Some(Blocked::BackfillFull { max_running })
    }
}
