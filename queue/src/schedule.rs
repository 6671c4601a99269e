//! Schedules: what is enqueued by the clock.
//!
//! The application registers its schedules as a list of [`Schedule`]s. Their settings are rows: the code's defaults on
//! first sight, then what operators make of them. The leader looks for ticks that are due
//! ([`maintenance::scheduler`](crate::maintenance::scheduler)) and fires each in a transaction of its own, together
//! with a row whose key is schedule, tenant and tick: so a tick fires once, however many hosts there are and wherever
//! one of them dies.

pub mod cron;
mod run_now;
mod settings;
mod ticks;
mod upcoming;

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;

pub use run_now::{MOST_TENANTS, run_now};
pub use settings::{Change, Settings, WrongSetting, change, check, turned_off};
pub(crate) use settings::{hold, load, load_one, note_upkeep, register, standing};
pub(crate) use ticks::{Due, claim, due, newest, note_job, pass_over};
pub use upcoming::{Overview, Run, overview};

/// What happens to ticks that nobody fired in time: those more than a minute old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// They are passed over.
    Skip,
    /// The newest fires, unless one that is in time does.
    One,
    /// All fire, oldest first; at most the newest [`Settings::missed_limit`].
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
            .ok_or_else(|| format!("expected skip, one or all, got {text:?}"))
    }
}

/// What the code says of a schedule. All but name and description are defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Permanent name.
    pub name: &'static str,
    /// What it does, for people.
    pub description: &'static str,
    /// Second, minute, hour, day of month, month, day of week.
    pub cron: &'static str,
    /// IANA time zone the expression is read in; `None` for each tenant's own.
    pub time_zone: Option<&'static str>,
    /// Whether it fires for each of [`Schedule::tenants`].
    pub per_tenant: bool,
    /// What happens to ticks that nobody fired in time.
    pub missed: Missed,
    /// With [`Missed::All`], at most so many.
    pub missed_limit: u16,
}

/// A tenant that a schedule fires for.
#[derive(Debug, Clone)]
pub struct ScheduledTenant {
    /// Its id.
    pub id: Uuid,
    /// Its name, for people.
    pub name: String,
    /// Its IANA time zone.
    pub time_zone: String,
    /// Ticks before this time are none of its.
    pub since: DateTime<Utc>,
}

/// A tick that fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// For whom; `None` for a schedule that is not per tenant.
    pub tenant: Option<Uuid>,
    /// When it was due.
    pub at: DateTime<Utc>,
}

/// Something that the application enqueues by the clock.
pub trait Schedule: Send + Sync + 'static {
    /// Its name and defaults.
    fn definition(&self) -> Definition;

    /// Whom it fires for; only asked where [`Definition::per_tenant`] is set.
    fn tenants<'a>(&'a self, _conn: &'a mut PgConnection) -> BoxFuture<'a, Result<Vec<ScheduledTenant>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Enqueues what a tick is for, on the tick's transaction; answers with the job that stands for it.
    ///
    /// An error undoes all it did; the tick is tried again.
    fn fire<'a>(&'a self, conn: &'a mut PgConnection, tick: Tick) -> BoxFuture<'a, Result<Option<Uuid>>>;
}

/// The application's schedules.
#[derive(Clone, Default)]
pub struct Schedules(Vec<Arc<dyn Schedule>>);

impl Schedules {
    /// Adds one.
    ///
    /// # Panics
    /// When another one, or the engine's upkeep, has the same name.
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

    /// What the code says of all of them, the engine's upkeep with them, by name.
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

/// Gives back what dead workers held.
pub(crate) const RESCUE: Definition = Definition {
    name: "rescue",
    description: "Gives the jobs of dead workers to others",
    cron: "* * * * * *",
    time_zone: Some("UTC"),
    per_tenant: false,
    missed: Missed::One,
    missed_limit: 1,
};

/// Deletes what is old.
pub(crate) const PRUNE: Definition = Definition {
    name: "prune",
    description: "Deletes jobs, ticks and worker registrations that are older than they are kept",
    cron: "0 */5 * * * *",
    ..RESCUE
};

/// Compares what the lanes count with what is there.
pub(crate) const RECONCILE: Definition = Definition {
    name: "reconcile",
    description: "Proves that no lane's counts are adrift, and repairs them",
    cron: "0 40 3 * * *",
    ..RESCUE
};

/// What the leader does itself.
const UPKEEP: [Definition; 3] = [RESCUE, PRUNE, RECONCILE];

impl Definition {
    /// Whether the leader does it itself, rather than enqueueing a job.
    pub fn is_upkeep(&self) -> bool {
        UPKEEP.iter().any(|it| it.name == self.name)
    }
}
