//! Runs of a schedule that people ask for. Commands, pages and HTTP call it.

use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_identity::audit::Actor;
use weirgate_identity::{Tenant, TenantsError};
use weirgate_queue::QueueError;
use weirgate_queue::schedule::{self, Schedules};

/// Why nothing was enqueued.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    Tenant(#[from] TenantsError),
    #[error(transparent)]
    Schedule(#[from] QueueError),
}

impl From<sqlx::Error> for Refused {
    fn from(error: sqlx::Error) -> Self {
        Self::Schedule(error.into())
    }
}

/// Enqueues what a tick would, in the caller's transaction: for the tenant of that slug or UUID, or
/// for all. Answers with the jobs that stand for it.
pub(crate) async fn run_now(
    conn: &mut PgConnection,
    actor: &Actor,
    schedules: &Schedules,
    name: &str,
    tenant: Option<&str>,
) -> Result<Vec<Uuid>, Refused> {
    if !schedules.definitions().iter().any(|it| it.name == name) {
        return Err(QueueError::UnknownSchedule(name.to_owned()).into());
    }
    let tenant = match tenant {
        Some(name_or_id) => Tenant::active(conn, Some(&[name_or_id.to_owned()])).await?.into_iter().next(),
        None => None,
    };
    let id = tenant.map(|tenant| tenant.id);
    let jobs = schedule::run_now(conn, schedules, name, id).await?;
    actor.note_schedule_run(conn, name, id, &jobs).await?;
    Ok(jobs)
}
