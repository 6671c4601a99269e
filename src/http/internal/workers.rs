//! `GET /internal/workers`.

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use weirgate_queue::query::{self, WorkerRow};

use crate::http::Api;
use crate::http::page::Page;
use crate::http::params::Query;
use crate::http::problem::Problem;

/// A live worker process.
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
    started_at: DateTime<Utc>,
    /// Its last sign of life.
    heartbeat_at: DateTime<Utc>,
}

impl From<WorkerRow> for Worker {
    fn from(row: WorkerRow) -> Self {
        let WorkerRow { id, host, pid, version, queues, started_at, heartbeat_at, running } = row;
        Self { id, host, pid, version, queues, running, started_at, heartbeat_at }
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
    let rows = query::workers(&mut *api.pool.acquire().await?).await?;
    Ok(Page::whole(rows.into_iter().map(Worker::from).collect()))
}
