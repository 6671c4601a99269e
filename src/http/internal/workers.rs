//! `GET /internal/workers`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use weirgate_identity::audit::{Change, Subject};
use weirgate_queue::read::{self, WorkerRow};
use weirgate_queue::worker::drain;
use weirgate_web::client_address::ServiceActor;
use weirgate_web::extract::{Action, answered};
use weirgate_web::page::Page;
use weirgate_web::params::Query;
use weirgate_web::problem::Problem;

use crate::http::Api;

/// A live worker.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Worker {
    /// Of its registration; a process that lost its lease gets a new one.
    id: Uuid,
    /// Host name.
    host: String,
    /// Process id on that host.
    pid: i32,
    /// Version of the program.
    version: String,
    /// Queues it claims from.
    queues: Vec<String>,
    /// Jobs it runs now.
    running: i64,
    /// Whether it claims no more jobs and exits after its last running job.
    draining: bool,
    started_at: DateTime<Utc>,
    /// Its last heartbeat.
    heartbeat_at: DateTime<Utc>,
}

impl From<WorkerRow> for Worker {
    fn from(row: WorkerRow) -> Self {
        let WorkerRow { id, host, pid, version, queues, started_at, heartbeat_at, running, draining } = row;
        Self { id, host, pid, version, queues, running, draining, started_at, heartbeat_at }
    }
}

/// Lists the live workers, oldest first, on one page.
#[utoipa::path(
    get, path = "/internal/workers", tag = "Operation",
    responses((status = 200, description = "All live workers", body = Page<Worker>))
)]
pub(crate) async fn list_workers(
    State(api): State<Api>,
    Query(()): Query<()>,
) -> Result<Page<Worker>, Problem> {
    let rows = read::workers(&mut *api.pool.acquire().await?).await?;
    Ok(Page::whole(rows.into_iter().map(Worker::from).collect()))
}

/// Drains a worker: it claims no more jobs, finishes its running jobs, and then exits with status
/// 0.
///
/// A supervisor may start it again. Where API and worker are one process (`weirgate up`), the API
/// ends with it.
#[utoipa::path(
    post, path = "/internal/workers/{id}/drain", tag = "Operation",
    params(("id" = Uuid, Path, description = "The worker")),
    responses(
        (status = 200, description = "The worker, draining", body = Worker),
        (status = 204, description = "A repeat under the same Idempotency-Key: the worker has drained and is gone")
    )
)]
pub(crate) async fn drain_worker(
    State(api): State<Api>,
    ServiceActor(actor): ServiceActor,
    action: Action<Uuid>,
) -> Result<Response, Problem> {
    let id = action.target;
    let mut tx = api.pool.begin().await?;
    let first = action.is_first(&mut tx).await?;
    let unknown = || Problem::not_found("unknown_worker", "Unknown worker", format!("no live worker {id}"));
    let change = Change::begin(&mut tx, Subject::Worker(id)).await?;
    if first && !drain(&mut tx, id).await? {
        return Err(unknown());
    }
    let row = read::workers(&mut tx).await?.into_iter().find(|row| row.id == id);
    let Some(row) = row else {
        return if first { Err(unknown()) } else { Ok(answered(first, StatusCode::NO_CONTENT)) };
    };
    if first {
        change.note(&mut tx, &actor, "worker.drain", &["draining", "host", "pid"]).await?;
    }
    tx.commit().await?;
    Ok(answered(first, Json(Worker::from(row))))
}
