//! The clock of the leader's own upkeep: a schedule each, so that it can be paused and seen, but no job.

use std::sync::Mutex;

use chrono::{DateTime, Utc};

use crate::error::Result;
use crate::maintenance::leader::{Begin, Leader};
use crate::schedule::cron::{Cron, parse_zone};
use crate::schedule::{self, Definition, Settings};

/// When a piece of upkeep was last done by this process.
#[derive(Debug)]
pub(super) struct Upkeep {
    definition: Definition,
    last: Mutex<Option<DateTime<Utc>>>,
}

impl Upkeep {
    pub(super) fn new(definition: Definition) -> Self {
        Self { definition, last: Mutex::new(None) }
    }

    /// Does `once` if this process leads and a tick has come since it was last done.
    pub(super) async fn run_once(
        &self,
        leader: &Leader,
        once: impl AsyncFnOnce() -> Result<u64>,
    ) -> Result<u64> {
        if !leader.leads() {
            *self.last.lock().expect("no panic while held") = None;
            return Ok(0);
        }
        let (settings, now) =
            schedule::load_one(&mut *leader.pool().acquire().await?, &self.definition).await?;
        let last = self.last.lock().expect("no panic while held").or(settings.upkeep_at);
        if !settings.enabled || last.is_some_and(|last| !self.has_tick(&settings, last, now)) {
            return Ok(0);
        }
        let count = once().await?;
        *self.last.lock().expect("no panic while held") = Some(now);
        if settings.upkeep_at.is_none_or(|at| now - at >= chrono::TimeDelta::minutes(1))
            && let Some(mut tx) = leader.begin().await?
        {
            schedule::note_upkeep(&mut tx, self.definition.name).await?;
            tx.commit().await?;
        }
        Ok(count)
    }

    fn has_tick(&self, settings: &Settings, last: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        // Settings that make no sense any more must not end the upkeep.
        let cron = Cron::parse(&settings.cron).or_else(|_| Cron::parse(self.definition.cron));
        let zone =
            settings.time_zone.as_deref().map_or(Ok(chrono_tz::UTC), parse_zone).unwrap_or(chrono_tz::UTC);
        cron.is_ok_and(|cron| cron.next_after(last, zone).is_some_and(|next| next <= now))
    }
}
