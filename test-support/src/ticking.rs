//! Schedules that do what a test tells them to, and a leader to fire them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use sqlx::PgConnection;
use tokio::sync::Semaphore;
use uuid::Uuid;
use weirgate_queue::schedule::{
    self, Definition, Missed, Schedule, ScheduleChange, ScheduledTenant, Schedules, Tick,
};
use weirgate_queue::worker::leader::Leader;
use weirgate_queue::worker::scheduler::Scheduler;
use weirgate_queue::{NewJob, QueueError, Result, enqueue};

use crate::{Does, Step, TestDb};

/// What the test shares with a schedule.
#[derive(Default)]
pub struct Clockwork {
    pub tenants: Mutex<Vec<ScheduledTenant>>,
    /// Enqueues, then fails.
    pub fails: AtomicBool,
    pub panics: AtomicBool,
    /// Where it waits while it reads its tenants, when closed.
    pub gate: Mutex<Option<Arc<Semaphore>>>,
    /// Where it waits while it fires, when closed.
    pub fire_gate: Mutex<Option<Arc<Semaphore>>>,
}

async fn pass(gate: &Mutex<Option<Arc<Semaphore>>>) {
    let gate = gate.lock().clone();
    if let Some(gate) = gate {
        gate.acquire().await.unwrap().forget();
    }
}

/// Enqueues a step with the tick as its label.
pub struct Ticking {
    pub definition: Definition,
    pub clockwork: Arc<Clockwork>,
}

impl Ticking {
    /// Ticks at the full hour in UTC; of missed ticks one fires.
    pub fn hourly(name: &'static str) -> Self {
        let definition = Definition {
            name,
            description: "For a test",
            cron: "0 0 * * * *",
            time_zone: Some("UTC"),
            per_tenant: false,
            missed: Missed::One,
            missed_limit: 3,
        };
        Self { definition, clockwork: Arc::default() }
    }

    #[must_use]
    pub fn cron(mut self, cron: &'static str) -> Self {
        self.definition.cron = cron;
        self
    }

    #[must_use]
    pub fn missed(mut self, missed: Missed) -> Self {
        self.definition.missed = missed;
        self
    }

    /// For tenants, each in its own zone.
    #[must_use]
    pub fn per_tenant(mut self, zones: &[(&str, &str)]) -> Self {
        self.definition.per_tenant = true;
        self.definition.time_zone = None;
        *self.clockwork.tenants.lock() =
            zones.iter().map(|(name, zone)| scheduled_tenant(name, zone)).collect();
        self
    }

    pub fn clockwork(&self) -> Arc<Clockwork> {
        self.clockwork.clone()
    }
}

pub fn scheduled_tenant(name: &str, zone: &str) -> ScheduledTenant {
    ScheduledTenant {
        id: Uuid::now_v7(),
        name: name.to_owned(),
        time_zone: zone.to_owned(),
        since: DateTime::UNIX_EPOCH,
    }
}

impl Schedule for Ticking {
    fn definition(&self) -> Definition {
        self.definition.clone()
    }

    fn tenants<'a>(&'a self, _: &'a mut PgConnection) -> BoxFuture<'a, Result<Vec<ScheduledTenant>>> {
        Box::pin(async {
            pass(&self.clockwork.gate).await;
            Ok(self.clockwork.tenants.lock().clone())
        })
    }

    fn fire<'a>(&'a self, conn: &'a mut PgConnection, tick: Tick) -> BoxFuture<'a, Result<Option<Uuid>>> {
        Box::pin(async move {
            let tenants = self.clockwork.tenants.lock().clone();
            let name = tenants.iter().find(|it| Some(it.id) == tick.tenant).map_or("", |it| it.name.as_str());
            let label = format!("{}{name} {}", self.definition.name, tick.at.format("%m-%dT%H:%M:%S"));
            let job = NewJob::of(tick.tenant.unwrap_or_default(), &Step::new(&label, Does::Succeed))?;
            let job = enqueue(conn, vec![job.not_unique()]).await?[0].id;
            pass(&self.clockwork.fire_gate).await;
            assert!(!self.clockwork.panics.load(Ordering::SeqCst), "a bug in the schedule");
            if self.clockwork.fails.load(Ordering::SeqCst) {
                return Err(QueueError::UnknownKind("on purpose".to_owned()));
            }
            Ok(Some(job))
        })
    }
}

/// A worker that leads, unless another one does, with a lease of a minute.
pub async fn leader(db: &TestDb) -> Leader {
    let leader = Leader::new(db.pool.clone(), "test", Duration::from_mins(1));
    leader.run_once().await.unwrap();
    leader
}

impl TestDb {
    /// Labels of the steps that were enqueued, in order.
    pub async fn labels(&self) -> Vec<String> {
        sqlx::query_scalar("select args ->> 'label' from queue.jobs order by seq")
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }

    /// Fires the ticks that are due at this time as a leader in a new process; returns how many.
    pub async fn fire_at(&self, at: &str, schedules: &Schedules) -> u64 {
        self.travel_to(at).await;
        let leader = leader(self).await;
        let fired = Scheduler::new(schedules.clone()).run_once(&leader).await.unwrap();
        leader.resign().await.unwrap();
        fired
    }

    /// Changes a schedule as an operator would.
    pub async fn change(&self, schedules: &Schedules, name: &str, change: ScheduleChange) {
        let definitions = schedules.definitions();
        let definition = definitions.iter().find(|it| it.name == name).unwrap();
        let mut conn = self.pool.acquire().await.unwrap();
        assert_eq!(schedule::validate(&mut conn, definition, &change).await.unwrap(), []);
        schedule::update_settings(&mut conn, definition, &change).await.unwrap();
    }

    /// Why schedules cannot run, in their order.
    pub async fn problems(&self, schedules: &Schedules) -> Vec<String> {
        let mut conn = self.pool.acquire().await.unwrap();
        let all = schedule::overview(&mut conn, schedules).await.unwrap();
        all.into_iter().flat_map(|it| it.problems).collect()
    }

    /// The ticks that were decided: schedule, time, whether it fired.
    pub async fn ticks(&self) -> Vec<(String, DateTime<Utc>, bool)> {
        sqlx::query_as("select schedule, tick, fired from queue.schedule_ticks order by tick, schedule")
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }
}
