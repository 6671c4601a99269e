//! The clock of upkeep, which the leader does itself: each piece has a schedule, so that it can be
//! paused and read as others can, but no job.

use chrono::{DateTime, Utc};
use parking_lot::Mutex;

use crate::error::Result;
use crate::maintenance::leader::{Leader, TransactionSource};
use crate::schedule::cron::{Cron, parse_zone};
use crate::schedule::{self, Definition, ScheduleSettings};

/// A piece of upkeep, and when this process last did it.
#[derive(Debug)]
pub(super) struct Upkeep {
    definition: Definition,
    last: Mutex<Option<DateTime<Utc>>>,
}

impl Upkeep {
    pub(super) fn new(definition: Definition) -> Self {
        Self { definition, last: Mutex::new(None) }
    }

    /// Calls `run_once` if this process leads and a tick has come since the upkeep was last done.
    pub(super) async fn run_once(
        &self,
        leader: &Leader,
        run_once: impl AsyncFnOnce() -> Result<u64>,
    ) -> Result<u64> {
        if !leader.leads() {
            *self.last.lock() = None;
            return Ok(0);
        }
        let (settings, now) =
            schedule::load_one(&mut *leader.pool().acquire().await?, &self.definition).await?;
        let last = self.last.lock().or(settings.upkeep_at);
        if !settings.enabled || last.is_some_and(|last| !self.has_tick(&settings, last, now)) {
            return Ok(0);
        }
        let count = run_once().await?;
        *self.last.lock() = Some(now);
        if settings.upkeep_at.is_none_or(|at| now - at >= chrono::TimeDelta::minutes(1))
            && let Some(mut tx) = leader.begin().await?
        {
            schedule::record_upkeep(&mut tx, self.definition.name).await?;
            tx.commit().await?;
        }
        Ok(count)
    }

    fn has_tick(&self, settings: &ScheduleSettings, last: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        // Settings that can no longer be read must not end the upkeep: the default holds.
        let cron = Cron::parse(&settings.cron).or_else(|_| Cron::parse(self.definition.cron));
        let zone =
            settings.time_zone.as_deref().map_or(Ok(chrono_tz::UTC), parse_zone).unwrap_or(chrono_tz::UTC);
        cron.is_ok_and(|cron| cron.next_after(last, zone).is_some_and(|next| next <= now))
    }
}
