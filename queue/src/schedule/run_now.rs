//! Runs that somebody requests, outside of a schedule's ticks.

use std::sync::Arc;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Schedule, Schedules, Tick};
use crate::error::{QueueError, Result};

/// Most tenants of one run, as it is one transaction.
pub const MAX_TENANTS_PER_RUN: usize = 500;

/// Enqueues in the caller's transaction what a tick at this moment would: for `tenant`, or for all
/// tenants of the schedule. Returns the jobs that stand for it.
///
/// Such a run is not a tick: ticks that are due fire all the same, and a paused schedule can be run
/// too.
///
/// # Errors
/// [`QueueError::UnknownSchedule`]; [`QueueError::CannotRunNow`] for upkeep, for a tenant that is
/// not one of the schedule's, and for more than [`MAX_TENANTS_PER_RUN`].
pub async fn run_now(
    conn: &mut PgConnection,
    schedules: &Schedules,
    name: &str,
    tenant: Option<Uuid>,
) -> Result<Vec<Uuid>> {
    let Some(schedule) = schedules.iter().find(|it| it.definition().name == name) else {
        let is_upkeep = schedules.definitions().iter().any(|it| it.name == name);
        let why = "it is maintenance that the leading worker does itself";
        return Err(if is_upkeep { refuse(name, why) } else { QueueError::UnknownSchedule(name.to_owned()) });
    };
    let at = sqlx::query_scalar!(r#"select queue.now() as "now!""#).fetch_one(&mut *conn).await?;
    let mut jobs = Vec::new();
    for tenant in tenants_to_run(conn, schedule, name, tenant).await? {
        jobs.extend(schedule.fire(conn, Tick { tenant, at }).await?);
    }
    Ok(jobs)
}

async fn tenants_to_run(
    conn: &mut PgConnection,
    schedule: &Arc<dyn Schedule>,
    name: &str,
    requested: Option<Uuid>,
) -> Result<Vec<Option<Uuid>>> {
    if !schedule.definition().per_tenant {
        let why = "it does not run for single tenants";
        return if requested.is_some() { Err(refuse(name, why)) } else { Ok(vec![None]) };
    }
    let mut tenants: Vec<Uuid> = schedule.tenants(conn).await?.into_iter().map(|it| it.id).collect();
    if let Some(requested) = requested {
        tenants.retain(|id| *id == requested);
        if tenants.is_empty() {
            return Err(refuse(name, "it does not run for this tenant"));
        }
    }
    if tenants.len() > MAX_TENANTS_PER_RUN {
        return Err(refuse(name, "it runs for more than 500 tenants; name one of them"));
    }
    Ok(tenants.into_iter().map(Some).collect())
}

fn refuse(name: &str, why: &'static str) -> QueueError {
    QueueError::CannotRunNow { schedule: name.to_owned(), why }
}
