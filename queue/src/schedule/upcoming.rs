//! The schedules as people look at them: settings, last tick, next runs, what is wrong.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Definition, ScheduledTenant, Schedules, Settings, load};
use crate::error::Result;
use crate::schedule::cron::{Cron, parse_zone};

/// How many runs ahead are shown.
const AHEAD: usize = 10;

/// A run to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// When.
    pub at: DateTime<Utc>,
    /// For whom: id and name; `None` for a schedule that is not per tenant.
    pub tenant: Option<(Uuid, String)>,
}

/// A schedule, and how it stands.
#[derive(Debug, Clone)]
pub struct Overview {
    /// What the code says of it.
    pub definition: Definition,
    /// What is set.
    pub settings: Settings,
    /// The newest tick that fired; of upkeep, when it was last done, to the minute.
    pub last_tick_at: Option<DateTime<Utc>>,
    /// The job that stands for what that tick enqueued.
    pub last_job: Option<Uuid>,
    /// The next ten; none while it is paused.
    pub next_runs: Vec<Run>,
    /// Why it, or a tenant's part of it, cannot run.
    pub problems: Vec<String>,
}

/// All schedules, by name.
pub async fn overview(conn: &mut PgConnection, schedules: &Schedules) -> Result<Vec<Overview>> {
    let (stored, now) = load(conn).await?;
    let mut all = Vec::new();
    for definition in schedules.definitions() {
        let settings = stored.iter().find(|it| it.name == definition.name).cloned();
        let settings = settings.unwrap_or_else(|| Settings::defaults(&definition, now));
        let last = sqlx::query!(
            "select tick, job_id from queue.schedule_ticks where schedule = $1 and fired order by tick desc limit 1",
            definition.name
        )
        .fetch_optional(&mut *conn)
        .await?;
        let tenants = match schedules.iter().find(|it| it.definition().name == definition.name) {
            Some(schedule) if definition.per_tenant => Some(schedule.tenants(conn).await?),
            _ => None,
        };
        let mut problems = Vec::new();
        let next_runs = next_runs(&settings, tenants, now, &mut problems);
        all.push(Overview {
            last_tick_at: last.as_ref().map(|row| row.tick).or(settings.upkeep_at),
            last_job: last.and_then(|row| row.job_id),
            definition,
            settings,
            next_runs,
            problems,
        });
    }
    Ok(all)
}

fn next_runs(
    settings: &Settings,
    tenants: Option<Vec<ScheduledTenant>>,
    now: DateTime<Utc>,
    problems: &mut Vec<String>,
) -> Vec<Run> {
    let cron = match Cron::parse(&settings.cron) {
        Ok(cron) => cron,
        Err(why) => {
            problems.push(format!("cron {:?}: {why}", settings.cron));
            return Vec::new();
        }
    };
    // By zone, since thousands of tenants share a few.
    let mut zones: BTreeMap<String, Vec<Option<(Uuid, String)>>> = BTreeMap::new();
    match tenants {
        None => zones.entry(settings.time_zone.clone().unwrap_or_default()).or_default().push(None),
        Some(tenants) => {
            for tenant in tenants {
                let zone = settings.time_zone.clone().unwrap_or(tenant.time_zone);
                zones.entry(zone).or_default().push(Some((tenant.id, tenant.name)));
            }
        }
    }
    let mut runs = Vec::new();
    for (zone, tenants) in zones {
        match parse_zone(&zone) {
            Ok(zone) => {
                for at in cron.between(now, DateTime::<Utc>::MAX_UTC, zone).take(AHEAD) {
                    let run = |tenant: &Option<_>| Run { at, tenant: tenant.clone() };
                    runs.extend(tenants.iter().take(AHEAD).map(run));
                }
            }
            Err(why) => problems.extend(tenants.iter().map(|tenant| match tenant {
                Some((_, name)) => format!("tenant {name}: {why}"),
                None => why.clone(),
            })),
        }
    }
    runs.sort_by(|a, b| {
        (a.at, a.tenant.as_ref().map(|it| &it.1)).cmp(&(b.at, b.tenant.as_ref().map(|it| &it.1)))
    });
    runs.truncate(AHEAD);
    if settings.enabled { runs } else { Vec::new() }
}
