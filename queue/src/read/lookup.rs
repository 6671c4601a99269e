//! Single facts about jobs, workers and lanes, for callers that hold an id.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

/// The tenant of a job; none where the job is not kept.
///
/// # Errors
/// When the database cannot answer.
pub async fn tenant_of(conn: &mut PgConnection, job: Uuid) -> sqlx::Result<Option<Uuid>> {
    let tenant = sqlx::query_scalar!("select tenant_id from queue.jobs where id = $1", job);
    tenant.fetch_optional(conn).await
}

/// The tenant of the jobs of a workflow; none where no job of it is kept.
///
/// # Errors
/// When the database cannot answer.
pub async fn tenant_of_workflow(conn: &mut PgConnection, workflow: Uuid) -> sqlx::Result<Option<Uuid>> {
    let tenant = sqlx::query_scalar!(
        "select tenant_id from queue.jobs where workflow_id = $1 and workflow_id is not null limit 1",
        workflow
    );
    tenant.fetch_optional(conn).await
}

/// When a job was enqueued; none where the job is not kept.
///
/// # Errors
/// When the database cannot answer.
pub async fn enqueued_at(conn: &mut PgConnection, job: Uuid) -> sqlx::Result<Option<DateTime<Utc>>> {
    let at = sqlx::query_scalar!("select created_at from queue.jobs where id = $1", job);
    at.fetch_optional(conn).await
}

/// Those of the jobs that are still kept.
///
/// # Errors
/// When the database cannot answer.
pub async fn kept(conn: &mut PgConnection, jobs: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
    let kept = sqlx::query_scalar!("select id from queue.jobs where id = any($1)", jobs);
    kept.fetch_all(conn).await
}

/// Whether there is a job or a backfill of this id.
///
/// # Errors
/// When the database cannot answer.
pub async fn is_known(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<bool> {
    let known = sqlx::query_scalar!(
        r#"select exists (select from queue.jobs where id = $1)
               or exists (select from queue.backfills where id = $1) as "known!""#,
        id
    );
    known.fetch_one(conn).await
}

/// Who had a hand in a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The worker that runs it, or ran it last.
    pub worker_id: Option<Uuid>,
    /// Who asked for it, as the caller of the enqueue named them.
    pub enqueued_by: Option<String>,
}

/// Who had a hand in a job; nobody where the job is not kept.
///
/// # Errors
/// When the database cannot answer.
pub async fn origin(conn: &mut PgConnection, job: Uuid) -> sqlx::Result<Origin> {
    let origin = sqlx::query_as!(Origin, "select worker_id, enqueued_by from queue.jobs where id = $1", job);
    Ok(origin.fetch_optional(conn).await?.unwrap_or_default())
}

/// Where a worker process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerPlace {
    /// The worker.
    pub id: Uuid,
    /// Name of its machine.
    pub host: String,
    /// Its process id there.
    pub pid: i32,
}

/// Where these workers run, as far as they are registered.
///
/// # Errors
/// When the database cannot answer.
pub async fn worker_places(conn: &mut PgConnection, workers: &[Uuid]) -> sqlx::Result<Vec<WorkerPlace>> {
    let places =
        sqlx::query_as!(WorkerPlace, "select id, host, pid from queue.workers where id = any($1)", workers);
    places.fetch_all(conn).await
}

/// The paused lanes of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PausedLanes {
    /// The tenant.
    pub tenant: Uuid,
    /// The queues of these lanes, by name.
    pub queues: Vec<String>,
}

/// All tenants that have a paused lane, by their ids.
///
/// # Errors
/// When the database cannot answer.
pub async fn paused_lanes(conn: &mut PgConnection) -> sqlx::Result<Vec<PausedLanes>> {
    let paused = sqlx::query_as!(
        PausedLanes,
        r#"select tenant_id as tenant, array_agg(queue order by queue) as "queues!"
           from queue.lanes where paused group by tenant_id order by tenant_id"#
    );
    paused.fetch_all(conn).await
}
