//! Fires the ticks of the application's schedules. Only the leader does so.

use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use futures_util::FutureExt;
use parking_lot::Mutex;
use sqlx::PgPool;
use uuid::Uuid;

use crate::error::{QueueError, Result};
use crate::maintenance::leader::{Leader, TransactionSource};
use crate::schedule::cron::{Cron, parse_zone};
use crate::schedule::{self, DueTicks, Schedule, ScheduleSettings, Schedules, Tick};

/// A schedule with nothing due is checked again after this time at the latest, as its tenants may
/// have changed.
const RECHECK_INTERVAL: TimeDelta = TimeDelta::seconds(30);

/// A tick that failed is tried again after this time.
const RETRY_DELAY: TimeDelta = TimeDelta::seconds(5);

/// Fires the ticks that are due. It keeps nothing in memory but until when a schedule has no tick.
#[derive(Debug)]
pub struct Scheduler {
    schedules: Schedules,
    idle: Mutex<HashMap<String, Idle>>,
}

/// Until when a schedule with these settings need not be checked.
#[derive(Debug, Clone)]
struct Idle {
    settings: ScheduleSettings,
    until: DateTime<Utc>,
    problems: Vec<String>,
}

/// A tenant that a schedule fires for, or all of a schedule that is not per tenant.
struct Target {
    tenant: Option<Uuid>,
    zone: Tz,
    /// Ticks up to this time are decided, or do not fire.
    after: DateTime<Utc>,
}

impl Scheduler {
    /// A scheduler of the application's schedules.
    pub fn new(schedules: Schedules) -> Self {
        Self { schedules, idle: Mutex::default() }
    }

    /// Fires every tick that is due; returns how many.
    ///
    /// A schedule that fails is logged and does not hold up the others.
    pub async fn run_once(&self, leader: &Leader) -> Result<u64> {
        if !leader.leads() {
            return Ok(0);
        }
        let definitions = self.schedules.definitions();
        let (mut stored, mut now) = schedule::load(&mut *leader.pool().acquire().await?).await?;
        if definitions.iter().any(|it| stored.iter().all(|settings| settings.name != it.name)) {
            let Some(mut tx) = leader.begin().await? else { return Ok(0) };
            schedule::register(&mut tx, &definitions).await?;
            tx.commit().await?;
            (stored, now) = schedule::load(&mut *leader.pool().acquire().await?).await?;
        }
        let mut fired = 0;
        for schedule in self.schedules.iter() {
            let definition = schedule.definition();
            let settings = stored.iter().find(|it| it.name == definition.name && it.enabled);
            let Some(settings) = settings.filter(|it| !self.is_idle(it, now)) else { continue };
            match self.fire_due(leader, schedule, settings, now).await {
                Ok(count) => fired += count,
                Err(error) => {
                    tracing::error!(schedule = definition.name, %error, "a schedule failed; it is tried again");
                }
            }
        }
        Ok(fired)
    }

    fn is_idle(&self, settings: &ScheduleSettings, now: DateTime<Utc>) -> bool {
        let idle = self.idle.lock();
        idle.get(&settings.name).is_some_and(|it| it.settings == *settings && now < it.until)
    }

    /// Fires the due ticks of one schedule, and remembers when to check it again.
    async fn fire_due(
        &self,
        leader: &Leader,
        schedule: &Arc<dyn Schedule>,
        settings: &ScheduleSettings,
        now: DateTime<Utc>,
    ) -> Result<u64> {
        let cron = match Cron::parse(&settings.cron) {
            Ok(cron) => cron,
            Err(why) => {
                let problems = vec![format!("cron {:?}: {why}", settings.cron)];
                self.set_idle(Idle { settings: settings.clone(), until: now + RECHECK_INTERVAL, problems });
                return Ok(0);
            }
        };
        let (targets, problems) = targets(leader.pool(), schedule, settings).await?;
        let mut until = now + RECHECK_INTERVAL;
        let mut fired = 0;
        // Most tenants of a zone have the same ticks to decide, which are computed once.
        let mut by_zone = BTreeMap::new();
        for target in targets {
            let (due, next) = by_zone.entry((target.zone.name(), target.after)).or_insert_with(|| {
                let due = schedule::due(&cron, target.zone, settings, target.after, now);
                (due, cron.next_after(now, target.zone))
            });
            until = next.map_or(until, |next| next.min(until));
            match fire_all(leader, schedule, target.tenant, due, &mut fired).await {
                Ok(true) => {}
                Ok(false) => return Ok(fired),
                Err(error) if error.is_connection_lost() => return Err(error),
                Err(error) => {
                    let (schedule, tenant) = (&settings.name, target.tenant);
                    tracing::error!(schedule, ?tenant, %error, "a tick could not fire; it is tried again");
                    until = until.min(now + RETRY_DELAY);
                }
            }
        }
        self.set_idle(Idle { settings: settings.clone(), until, problems });
        Ok(fired)
    }

    /// Leaves a schedule alone until a time. Its problems are logged once, not at every check.
    fn set_idle(&self, idle: Idle) {
        let mut all = self.idle.lock();
        let logged = all.get(&idle.settings.name).map_or(&[][..], |before| &before.problems);
        for problem in idle.problems.iter().filter(|it| !logged.contains(it)) {
            tracing::error!(schedule = idle.settings.name, problem, "a schedule cannot run");
        }
        all.insert(idle.settings.name.clone(), idle);
    }
}

/// The targets of a schedule, each with its zone and its last decided tick; and why it cannot fire
/// for others.
async fn targets(
    pool: &PgPool,
    schedule: &Arc<dyn Schedule>,
    settings: &ScheduleSettings,
) -> Result<(Vec<Target>, Vec<String>)> {
    let mut conn = pool.acquire().await?;
    let (mut targets, mut problems) = (Vec::new(), Vec::new());
    if schedule.definition().per_tenant {
        for tenant in catch_panic(&settings.name, schedule.tenants(&mut conn)).await? {
            match parse_zone(settings.time_zone.as_ref().unwrap_or(&tenant.time_zone)) {
                Ok(zone) => targets.push(Target { tenant: Some(tenant.id), zone, after: tenant.since }),
                Err(why) => problems.push(format!("tenant {}: {why}", tenant.name)),
            }
        }
    } else {
        match parse_zone(settings.time_zone.as_deref().unwrap_or_default()) {
            Ok(zone) => targets.push(Target { tenant: None, zone, after: settings.since }),
            Err(why) => problems.push(why),
        }
    }
    let ids: Vec<Uuid> = targets.iter().map(|target| target.tenant.unwrap_or_default()).collect();
    let newest: HashMap<_, _> =
        schedule::newest_decided(&mut conn, &settings.name, &ids).await?.into_iter().collect();
    for target in &mut targets {
        let decided = newest.get(&target.tenant.unwrap_or_default()).copied();
        target.after = target.after.max(settings.since).max(decided.unwrap_or(DateTime::<Utc>::MIN_UTC));
    }
    Ok((targets, problems))
}

/// Fires each tick in a transaction of its own, oldest first: one that fails holds back those after
/// it. Returns `false` when this worker no longer leads.
async fn fire_all(
    leader: &Leader,
    schedule: &Arc<dyn Schedule>,
    tenant: Option<Uuid>,
    due: &DueTicks,
    fired: &mut u64,
) -> Result<bool> {
    let name = schedule.definition().name;
    if let Some(at) = due.skip {
        let Some(mut tx) = leader.begin().await? else { return Ok(false) };
        schedule::record_skipped(&mut tx, name, Tick { tenant, at }).await?;
        tx.commit().await?;
    }
    for &at in &due.fire {
        let tick = Tick { tenant, at };
        let Some(mut tx) = leader.begin().await? else { return Ok(false) };
        if schedule::record_fired(&mut tx, name, tick).await? {
            let job = catch_panic(name, schedule.fire(&mut tx, tick)).await?;
            schedule::record_job(&mut tx, name, tick, job).await?;
            tx.commit().await?;
            tracing::info!(schedule = name, ?tenant, tick = %at, job.id = ?job, "a tick fired");
            *fired += 1;
        }
    }
    Ok(true)
}

/// Runs code of the application, whose panic must not end the maintenance of this worker.
async fn catch_panic<T>(name: &str, code: impl Future<Output = Result<T>>) -> Result<T> {
    let ended = AssertUnwindSafe(code).catch_unwind().await;
    ended.unwrap_or_else(|_| Err(QueueError::SchedulePanicked(name.to_owned())))
}
