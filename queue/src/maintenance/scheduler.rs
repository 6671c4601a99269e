//! Fires the ticks of the application's schedules. Only the leader does it.

use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use futures_util::FutureExt;
use sqlx::PgPool;
use uuid::Uuid;

use crate::error::{QueueError, Result};
use crate::maintenance::leader::{Begin, Leader};
use crate::schedule::cron::{Cron, parse_zone};
use crate::schedule::{self, Due, Schedule, Schedules, Settings, Tick};

/// A schedule with nothing due is looked at after this time all the same: its tenants may have changed.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(30);

/// A tick that failed is tried again after this time.
const TRY_AGAIN: TimeDelta = TimeDelta::seconds(5);

/// Fires what is due. Keeps in memory only when there is nothing to look for.
#[derive(Debug)]
pub struct Scheduler {
    schedules: Schedules,
    idle: Mutex<HashMap<String, Idle>>,
}

/// Until when a schedule with these settings needs no look.
#[derive(Debug, Clone)]
struct Idle {
    settings: Settings,
    until: DateTime<Utc>,
    problems: Vec<String>,
}

/// One of those a schedule fires for.
struct Target {
    tenant: Option<Uuid>,
    zone: Tz,
    /// Ticks up to this time are decided, or nobody's.
    after: DateTime<Utc>,
}

impl Scheduler {
    /// For the application's schedules.
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
            match self.look(leader, schedule, settings, now).await {
                Ok(count) => fired += count,
                Err(error) => {
                    tracing::error!(schedule = definition.name, %error, "a schedule failed; trying again");
                }
            }
        }
        Ok(fired)
    }

    fn is_idle(&self, settings: &Settings, now: DateTime<Utc>) -> bool {
        let idle = self.idle.lock().expect("no panic while held");
        idle.get(&settings.name).is_some_and(|it| it.settings == *settings && now < it.until)
    }

    /// Fires what is due of one schedule, and notes when to look again.
    async fn look(
        &self,
        leader: &Leader,
        schedule: &Arc<dyn Schedule>,
        settings: &Settings,
        now: DateTime<Utc>,
    ) -> Result<u64> {
        let cron = match Cron::parse(&settings.cron) {
            Ok(cron) => cron,
            Err(why) => {
                let problems = vec![format!("cron {:?}: {why}", settings.cron)];
                self.rest(Idle { settings: settings.clone(), until: now + LOOK_AGAIN, problems });
                return Ok(0);
            }
        };
        let (targets, problems) = targets(leader.pool(), schedule, settings).await?;
        let mut until = now + LOOK_AGAIN;
        let mut fired = 0;
        // Most tenants of a zone stand at the same tick.
        let mut same = BTreeMap::new();
        for target in targets {
            let (due, next) = same.entry((target.zone.name(), target.after)).or_insert_with(|| {
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
                    until = until.min(now + TRY_AGAIN);
                }
            }
        }
        self.rest(Idle { settings: settings.clone(), until, problems });
        Ok(fired)
    }

    /// Leaves a schedule alone for a while. What is wrong with it is said once, not at every look.
    fn rest(&self, idle: Idle) {
        let mut all = self.idle.lock().expect("no panic while held");
        let said = all.get(&idle.settings.name).map_or(&[][..], |before| &before.problems);
        for problem in idle.problems.iter().filter(|it| !said.contains(it)) {
            tracing::error!(schedule = idle.settings.name, problem, "a schedule cannot run");
        }
        all.insert(idle.settings.name.clone(), idle);
    }
}

/// Those whom a schedule fires for, each with its zone and where it stands; and why it cannot for others.
async fn targets(
    pool: &PgPool,
    schedule: &Arc<dyn Schedule>,
    settings: &Settings,
) -> Result<(Vec<Target>, Vec<String>)> {
    let mut conn = pool.acquire().await?;
    let (mut targets, mut problems) = (Vec::new(), Vec::new());
    if schedule.definition().per_tenant {
        for tenant in survive(&settings.name, schedule.tenants(&mut conn)).await? {
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
        schedule::newest(&mut conn, &settings.name, &ids).await?.into_iter().collect();
    for target in &mut targets {
        let decided = newest.get(&target.tenant.unwrap_or_default()).copied();
        target.after = target.after.max(settings.since).max(decided.unwrap_or(DateTime::<Utc>::MIN_UTC));
    }
    Ok((targets, problems))
}

/// Each tick in a transaction of its own, oldest first: one that fails holds back those after it. False when this
/// host no longer leads.
async fn fire_all(
    leader: &Leader,
    schedule: &Arc<dyn Schedule>,
    tenant: Option<Uuid>,
    due: &Due,
    fired: &mut u64,
) -> Result<bool> {
    let name = schedule.definition().name;
    if let Some(at) = due.passed_over {
        let Some(mut tx) = leader.begin().await? else { return Ok(false) };
        schedule::pass_over(&mut tx, name, Tick { tenant, at }).await?;
        tx.commit().await?;
    }
    for &at in &due.fire {
        let tick = Tick { tenant, at };
        let Some(mut tx) = leader.begin().await? else { return Ok(false) };
        if schedule::claim(&mut tx, name, tick).await? {
            let job = survive(name, schedule.fire(&mut tx, tick)).await?;
            schedule::note_job(&mut tx, name, tick, job).await?;
            tx.commit().await?;
            tracing::info!(schedule = name, ?tenant, tick = %at, job.id = ?job, "a tick fired");
            *fired += 1;
        }
    }
    Ok(true)
}

/// A panic of the application's code must not end the upkeep of this host.
async fn survive<T>(name: &str, code: impl Future<Output = Result<T>>) -> Result<T> {
    let ended = AssertUnwindSafe(code).catch_unwind().await;
    ended.unwrap_or_else(|_| Err(QueueError::SchedulePanicked(name.to_owned())))
}
