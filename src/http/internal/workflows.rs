//! `GET /internal/workflows/{id}`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use weirgate_queue::{JobState, query};

use crate::http::Api;
use crate::http::context::RequestContext;
use crate::http::extract::Path;
use crate::http::follow::Viewer;
use crate::http::job::JobResource;
use crate::http::params::Query;
use crate::http::problem::Problem;

/// Jobs that belong together.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Workflow {
    id: Uuid,
    /// Whether every job is final.
    is_final: bool,
    total: usize,
    /// Jobs by state; every state is there.
    #[schema(example = json!({"completed": 4, "running": 1, "waiting": 1}))]
    counts: BTreeMap<&'static str, u64>,
    /// In order of enqueueing.
    jobs: Vec<JobResource>,
    edges: Vec<Edge>,
    #[schema(format = "uri")]
    status_url: String,
    /// The database's time of this answer.
    #[schema(required = true)]
    observed_at: Option<DateTime<Utc>>,
}

/// One job waits on another.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Edge {
    /// The job waited on.
    from: Uuid,
    /// The job that waits.
    to: Uuid,
    /// What the end of `from` without success does to `to`: `cancel` or `continue`.
    on_failure: String,
}

/// Shows a workflow: its jobs, their edges, counts by state.
#[utoipa::path(
    get, path = "/internal/workflows/{id}", tag = "Jobs",
    params(("id" = Uuid, Path, description = "The workflow")),
    responses((status = 200, description = "The workflow", body = Workflow))
)]
pub(crate) async fn get_workflow(
    State(api): State<Api>,
    viewer: Viewer,
    context: RequestContext,
    Path(id): Path<Uuid>,
    Query(()): Query<()>,
) -> Result<Json<Workflow>, Problem> {
    let mut conn = api.pool.acquire().await?;
    let rows = query::workflow(&mut conn, id).await?;
    if rows.is_empty() {
        return Err(Problem::not_found("unknown_workflow", "Unknown workflow", format!("no workflow {id}")));
    }
    let edges = sqlx::query_as!(
        Edge,
        r#"select d.parent_id as "from", d.child_id as "to", d.on_failure
           from queue.jobs j join queue.job_dependencies d on d.child_id = j.id
           where j.workflow_id = $1 order by d.child_id, d.parent_id"#,
        id
    )
    .fetch_all(&mut *conn)
    .await?;
    // Given back before the slugs are looked up, which may need one too.
    drop(conn);
    let mut counts: BTreeMap<&'static str, u64> =
        JobState::ALL.iter().map(|state| (state.as_str(), 0)).collect();
    for row in &rows {
        *counts.entry(row.state().as_str()).or_default() += 1;
    }
    let observed_at = rows.iter().map(|row| row.observed_at).max();
    let jobs = viewer.resources(rows).await?;
    Ok(Json(Workflow {
        id,
        is_final: jobs.iter().all(JobResource::is_final),
        total: jobs.len(),
        counts,
        jobs,
        edges,
        status_url: context.url(&format!("/internal/workflows/{id}")),
        observed_at,
    }))
}
