//! Schedules: jobs that are enqueued by the clock.
//!
//! The application registers its schedules as a list of [`Schedule`]s. Their settings are rows: at
//! first the code's defaults, then what operators set. The leader looks for ticks that are due
//! ([`worker::scheduler`](crate::worker::scheduler)) and fires each in a transaction of
//! its own, together with a row whose key is schedule, tenant and tick: so a tick fires once,
//! however many workers there are and wherever one of them dies.

pub mod cron;
mod overview;
mod run_now;
mod settings;
mod ticks;

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;

pub use overview::{ScheduleOverview, UpcomingRun, overview};
pub use run_now::{MAX_TENANTS_PER_RUN, run_now};
pub use settings::{InvalidSetting, ScheduleChange, ScheduleSettings, disabled, update_settings, validate};
pub(crate) use settings::{describe, load, load_one, lock, record_upkeep, register};
pub(crate) use ticks::{DueTicks, due, newest_decided, record_fired, record_job, record_skipped};

/// What happens to missed ticks, which are those that nobody fired within a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Missed {
    /// None of them fires.
    Skip,
    /// The newest one fires, unless a tick that is in time does.
    One,
    /// All fire, oldest first, but no more than the newest [`ScheduleSettings::missed_limit`].
    All,
}

impl Missed {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::One => "one",
            Self::All => "all",
        }
    }
}

impl std::str::FromStr for Missed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Skip, Self::One, Self::All]
            .into_iter()
            .find(|it| it.as_str() == text)
            .ok_or_else(|| format!("expected skip, one or all, not {text:?}"))
    }
}

/// A schedule as the code defines it. All but name and description are defaults of its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its name, which is permanent.
    pub name: &'static str,
    /// What it does, for people to read.
    pub description: &'static str,
    /// The cron expression: second, minute, hour, day of month, month, day of week.
    pub cron: &'static str,
    /// The IANA time zone that the expression is read in; `None` for each tenant's own.
    pub time_zone: Option<&'static str>,
    /// Whether it fires for each of [`Schedule::tenants`].
    pub per_tenant: bool,
    /// What happens to missed ticks.
    pub missed: Missed,
    /// With [`Missed::All`], the most missed ticks that fire.
    pub missed_limit: u16,
}

/// A tenant that a schedule fires for.
#[derive(Debug, Clone)]
pub struct ScheduledTenant {
    /// Its id.
    pub id: Uuid,
    /// Its name, for people to read.
    pub name: String,
    /// Its IANA time zone.
    pub time_zone: String,
    /// Ticks up to this time do not fire for it.
    pub since: DateTime<Utc>,
}

/// A tick that fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// The tenant that it fires for; `None` for a schedule that is not per tenant.
    pub tenant: Option<Uuid>,
    /// When it was due.
    pub at: DateTime<Utc>,
}

/// Something that the application enqueues by the clock.
pub trait Schedule: Send + Sync + 'static {
    /// Its name and defaults.
    fn definition(&self) -> Definition;

    /// The tenants that it fires for; called only where [`Definition::per_tenant`] is set.
    fn tenants<'a>(&'a self, _conn: &'a mut PgConnection) -> BoxFuture<'a, Result<Vec<ScheduledTenant>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Enqueues the jobs of a tick in the tick's transaction; returns the job that stands for them.
    ///
    /// An error rolls the transaction back; the tick is tried again.
    fn fire<'a>(&'a self, conn: &'a mut PgConnection, tick: Tick) -> BoxFuture<'a, Result<Option<Uuid>>>;
}

/// The application's schedules.
#[derive(Clone, Default)]
pub struct Schedules(Vec<Arc<dyn Schedule>>);

impl Schedules {
    /// Adds a schedule.
    ///
    /// # Panics
    /// When another one, or an upkeep schedule of the engine, has the same name.
    #[must_use]
    pub fn with(self, schedule: impl Schedule) -> Self {
        self.merge(Self(vec![Arc::new(schedule)]))
    }

    /// Adds those of another part of the application.
    ///
    /// # Panics
    /// When one of each has the same name.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        for schedule in other.0 {
            let name = schedule.definition().name;
            assert!(self.definitions().iter().all(|it| it.name != name), "two schedules are named {name}");
            self.0.push(schedule);
        }
        self
    }

    /// The definitions of all schedules, including the engine's upkeep, by name.
    pub fn definitions(&self) -> Vec<Definition> {
        let mut all: Vec<Definition> = self.0.iter().map(|it| it.definition()).collect();
        all.extend(UPKEEP);
        all.sort_by_key(|it| it.name);
        all
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<dyn Schedule>> {
        self.0.iter()
    }
}

impl fmt::Debug for Schedules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|it| it.definition().name)).finish()
    }
}

/// When jobs of dead workers are rescued.
pub(crate) const RESCUE: Definition = Definition {
    name: "rescue",
    description: "Rescues the jobs of dead workers",
    cron: "* * * * * *",
    time_zone: Some("UTC"),
    per_tenant: false,
    missed: Missed::One,
    missed_limit: 1,
};

/// When old rows are deleted.
pub(crate) const PRUNE: Definition = Definition {
    name: "prune",
    description: "Deletes finished jobs, ticks and worker registrations past their retention",
    cron: "0 */5 * * * *",
    ..RESCUE
};

/// When the counts of lanes are compared with the jobs.
pub(crate) const RECONCILE: Definition = Definition {
    name: "reconcile",
    description: "Checks the counters against the jobs and corrects them",
    cron: "0 40 3 * * *",
    ..RESCUE
};

/// Upkeep: what the leader does by the clock itself, without a job.
const UPKEEP: [Definition; 3] = [RESCUE, PRUNE, RECONCILE];

impl Definition {
    /// Whether the schedule is upkeep: the leader does it itself rather than enqueueing a job.
    pub fn is_upkeep(&self) -> bool {
        UPKEEP.iter().any(|it| it.name == self.name)
    }
}
