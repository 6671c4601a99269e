//! `/internal/workflows`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use futures_util::stream;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use weirgate_queue::query::{self, JobRow};
use weirgate_queue::{JobState, QueueError, workflow};

use crate::audit::Actor;
use crate::http::Api;
use crate::http::context::RequestContext;
use crate::http::extract::{Act, Path, answered};
use crate::http::follow::Viewer;
use crate::http::job::JobResource;
use crate::http::page::{Page, Paging, PagingParams, next_link};
use crate::http::params::{Fields, FromQuery, Query};
use crate::http::problem::Problem;

/// Jobs that belong together.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Workflow {
    id: Uuid,
    /// Whether every job is final.
    is_final: bool,
    /// How many jobs it has.
    total: u64,
    /// Jobs by state, over the whole workflow; every state is there.
    #[schema(example = json!({"completed": 4, "running": 1, "waiting": 1}))]
    counts: BTreeMap<&'static str, u64>,
    /// A page of its jobs, in order of enqueueing.
    jobs: Vec<WorkflowJob>,
    /// What the jobs of this page wait on, or waited on.
    edges: Vec<Edge>,
    /// Absolute URL of the next page of jobs; null on the last one. Also in `Link`, as `rel="next"`.
    #[schema(format = "uri", required = true)]
    next: Option<String>,
    #[schema(format = "uri")]
    status_url: String,
    /// The database's time of this answer.
    #[schema(required = true)]
    observed_at: Option<DateTime<Utc>>,
}

/// A job under its name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkflowJob {
    /// What it is called within the workflow.
    #[schema(required = true, example = "tickets")]
    name: Option<String>,
    #[serde(flatten)]
    job: JobResource,
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

/// Which page of a workflow's jobs is asked for.
#[derive(Debug)]
pub(crate) struct JobsPage(Paging<i64>);

impl FromQuery for JobsPage {
    fn take(fields: &mut Fields) -> Option<Self> {
        Some(Self(Paging::take(fields)))
    }
}

/// Shows a workflow: its jobs page by page, their edges, and counts by state over the whole.
#[utoipa::path(
    get, path = "/internal/workflows/{id}", tag = "Jobs",
    params(("id" = Uuid, Path, description = "The workflow"), PagingParams),
    responses((status = 200, description = "The workflow", body = Workflow))
)]
pub(crate) async fn get_workflow(
    State(api): State<Api>,
    viewer: Viewer,
    context: RequestContext,
    Path(id): Path<Uuid>,
    Query(JobsPage(paging)): Query<JobsPage>,
) -> Result<Response, Problem> {
    let workflow = look(&api, &viewer, &context, &paging, id).await?;
    Ok(answer(StatusCode::OK, workflow))
}

/// Cancels what is not final in a workflow. Running jobs are told to stop; what has completed stays.
///
/// Answers with the first page of the workflow.
#[utoipa::path(
    post, path = "/internal/workflows/{id}/cancel", tag = "Jobs",
    params(("id" = Uuid, Path, description = "The workflow")),
    responses(
        (status = 200, description = "Every job is final now", body = Workflow),
        (status = 202, description = "Its running jobs were told to stop", body = Workflow)
    )
)]
pub(crate) async fn cancel_workflow(
    State(api): State<Api>,
    viewer: Viewer,
    context: RequestContext,
    actor: Actor,
    act: Act<Uuid>,
) -> Result<Response, Problem> {
    let id = act.target;
    let mut tx = api.pool.begin().await?;
    let first = act.is_first(&mut tx).await?;
    if first {
        let cancelled = workflow::cancel(&mut tx, id).await?;
        actor.note_workflow_cancel(&mut tx, id, cancelled).await?;
    }
    tx.commit().await?;
    let context = context.at(&format!("/internal/workflows/{id}"));
    let workflow = look(&api, &viewer, &context, &Paging::first(), id).await?;
    let status = if workflow.is_final { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(answered(first, answer(status, workflow)))
}

async fn look(
    api: &Api,
    viewer: &Viewer,
    context: &RequestContext,
    paging: &Paging<i64>,
    id: Uuid,
) -> Result<Workflow, Problem> {
    let mut conn = api.pool.acquire().await?;
    let found = query::workflow_counts(&mut conn, id).await?;
    if found.is_empty() {
        return Err(QueueError::UnknownWorkflow(id).into());
    }
    let rows = query::workflow(&mut conn, id, paging.after, paging.rows()).await?;
    let rows = paging.collect(stream::iter(rows.into_iter().map(Ok)), JobRow::bytes).await?;
    let Page { items: rows, next } = rows.page(context, |row| row.seq);
    let edges = sqlx::query_as!(
        Edge,
        r#"select d.parent_id as "from", d.child_id as "to", d.on_failure
           from queue.job_dependencies d where d.child_id = any($1) order by d.child_id, d.parent_id"#,
        &rows.iter().map(|row| row.id).collect::<Vec<_>>()
    )
    .fetch_all(&mut *conn)
    .await?;
    // Given back before the slugs are looked up, which may need one too.
    drop(conn);
    let count = |state: &JobState| found.get(state).copied().unwrap_or(0);
    let observed_at = rows.iter().map(|row| row.observed_at).max();
    let names: Vec<Option<String>> = rows.iter().map(|row| row.name.clone()).collect();
    let jobs = names.into_iter().zip(viewer.resources(rows).await?);
    Ok(Workflow {
        id,
        is_final: found.keys().all(|state| state.is_final()),
        total: found.values().sum(),
        counts: JobState::ALL.iter().map(|state| (state.as_str(), count(state))).collect(),
        jobs: jobs.map(|(name, job)| WorkflowJob { name, job }).collect(),
        edges,
        next,
        status_url: context.url(&format!("/internal/workflows/{id}")),
        observed_at,
    })
}

fn answer(status: StatusCode, workflow: Workflow) -> Response {
    let link = next_link(workflow.next.as_deref());
    let mut response = (status, Json(workflow)).into_response();
    response.headers_mut().extend(link);
    response
}
