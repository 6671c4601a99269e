//! Runs that somebody asks for, outside of a schedule's ticks.

use std::sync::Arc;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Schedule, Schedules, Tick};
use crate::error::{QueueError, Result};

/// Tenants of one run, at most, as it is one transaction.
pub const MOST_TENANTS: usize = 500;

/// Enqueues what a tick at this moment would, in the caller's transaction: for `tenant`, or for all that the schedule is
/// for. Answers with the jobs that stand for it.
///
/// It is no tick: those that are due fire all the same, and it can be asked for while the schedule is paused.
///
/// # Errors
/// [`QueueError::UnknownSchedule`]; [`QueueError::CannotRunNow`] for upkeep, for a tenant that it is not for, and for more
/// than [`MOST_TENANTS`].
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
    for tenant in targets(conn, schedule, name, tenant).await? {
        jobs.extend(schedule.fire(conn, Tick { tenant, at }).await?);
    }
    Ok(jobs)
}

async fn targets(
    conn: &mut PgConnection,
    schedule: &Arc<dyn Schedule>,
    name: &str,
    wanted: Option<Uuid>,
) -> Result<Vec<Option<Uuid>>> {
    if !schedule.definition().per_tenant {
        let why = "it does not run for single tenants";
        return if wanted.is_some() { Err(refuse(name, why)) } else { Ok(vec![None]) };
    }
    let mut tenants: Vec<Uuid> = schedule.tenants(conn).await?.into_iter().map(|it| it.id).collect();
    if let Some(wanted) = wanted {
        tenants.retain(|id| *id == wanted);
        if tenants.is_empty() {
            return Err(refuse(name, "it does not run for this tenant"));
        }
    }
    if tenants.len() > MOST_TENANTS {
        return Err(refuse(name, "it runs for more than 500 tenants; name one of them"));
    }
    Ok(tenants.into_iter().map(Some).collect())
}

fn refuse(name: &str, why: &'static str) -> QueueError {
    QueueError::CannotRunNow { schedule: name.to_owned(), why }
}
