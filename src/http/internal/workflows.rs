//! `/internal/workflows`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use az::SaturatingAs;
use chrono::{DateTime, Utc};
use futures_util::stream;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use weirgate_identity::audit;
use weirgate_queue::read::{self, JobRow, WorkflowState};
use weirgate_queue::{OnFailure, QueueError, workflow};
use weirgate_web::client_address::ServiceActor;
use weirgate_web::context::RequestContext;
use weirgate_web::extract::{Action, Path, answered};
use weirgate_web::follow::Viewer;
use weirgate_web::job::JobResource;
use weirgate_web::job_list::tenant_of_filter;
use weirgate_web::page::{Page, Paging, next_link, next_url};
use weirgate_web::params::Query;
use weirgate_web::problem::Problem;
use weirgate_web::query_params;

use crate::http::Api;
use crate::http::workflow::{WorkflowFilterParams, WorkflowHead, WorkflowSummary, counts, workflow_state};
use crate::operations::{WorkflowRetry, retry_failed};

/// Jobs that belong together.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Workflow {
    #[serde(flatten)]
    head: WorkflowHead,
    #[schema(schema_with = workflow_state)]
    state: WorkflowState,
    /// Whether every job is final.
    #[serde(rename = "final")]
    is_final: bool,
    /// The same, under an older name.
    #[serde(rename = "is_final")]
    was_is_final: bool,
    /// How many jobs it has.
    total: u64,
    /// Jobs by state, over the whole workflow; every state is there.
    #[schema(example = json!({"completed": 4, "running": 1, "waiting": 1}))]
    counts: BTreeMap<&'static str, i64>,
    /// A page of its jobs, in order of enqueueing.
    jobs: Vec<WorkflowJob>,
    /// What the jobs of this page wait on, or waited on.
    edges: Vec<Edge>,
    /// Absolute URL of the next page of jobs; null on the last one. Also in `Link`, as
    /// `rel="next"`.
    #[schema(format = "uri", required = true)]
    next: Option<String>,
    #[schema(format = "uri")]
    status_url: String,
    links: WorkflowLinks,
    /// The database's time of this answer.
    #[schema(required = true)]
    observed_at: Option<DateTime<Utc>>,
}

/// Where to go from a workflow.
#[derive(Debug, Serialize, ToSchema)]
struct WorkflowLinks {
    #[serde(rename = "self")]
    #[schema(format = "uri")]
    this: String,
    #[schema(format = "uri")]
    cancel: String,
    #[schema(format = "uri")]
    retry_failed: String,
    /// Its jobs.
    #[schema(format = "uri")]
    jobs: String,
}

/// The result of *retry failed*.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RetriedWorkflow {
    /// Failed jobs that run again, and with them what was cancelled because of them. 0 while a job
    /// retries them.
    #[schema(example = 1)]
    retried: u64,
    /// Failed jobs that cannot, because the same job has been enqueued again already.
    #[schema(example = 0)]
    refused: u64,
    /// With more than 200 failed jobs, the job that retries them.
    #[schema(required = true)]
    bulk_job_id: Option<Uuid>,
    /// Whether an earlier request did it, so that this one did nothing; also as
    /// `Idempotency-Replayed`.
    replayed: bool,
    #[serde(flatten)]
    workflow: Workflow,
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
    #[schema(value_type = String)]
    on_failure: OnFailure,
}

impl From<workflow::Edge> for Edge {
    fn from(edge: workflow::Edge) -> Self {
        Self { from: edge.parent, to: edge.child, on_failure: edge.on_failure }
    }
}

/// Shows a workflow: its jobs page by page, their edges, and counts by state over the whole.
#[utoipa::path(
    get, path = "/internal/workflows/{id}", tag = "Jobs",
    params(("id" = Uuid, Path, description = "The workflow"), Query::<Paging<i64>>),
    responses((status = 200, description = "The workflow", body = Workflow))
)]
pub(crate) async fn get_workflow(
    State(api): State<Api>,
    viewer: Viewer,
    context: RequestContext,
    Path(id): Path<Uuid>,
    Query(paging): Query<Paging<i64>>,
) -> Result<Response, Problem> {
    let workflow = read(&api, &viewer, &context, &paging, id).await?;
    Ok(answer(StatusCode::OK, workflow))
}

/// Cancels the unfinished jobs of a workflow. Running jobs are told to stop; completed ones stay.
///
/// Answers with the first page of the workflow.
#[utoipa::path(
    post, path = "/internal/workflows/{id}/cancel", tag = "Jobs",
    params(("id" = Uuid, Path, description = "The workflow")),
    responses(
        (status = 200, description = "Every job is final", body = Workflow),
        (status = 202, description = "The running jobs were told to stop", body = Workflow)
    )
)]
pub(crate) async fn cancel_workflow(
    State(api): State<Api>,
    viewer: Viewer,
    context: RequestContext,
    ServiceActor(actor): ServiceActor,
    action: Action<Uuid>,
) -> Result<Response, Problem> {
    let id = action.target;
    let mut tx = api.pool.begin().await?;
    let first = action.is_first(&mut tx).await?;
    if first {
        let cancelled = workflow::cancel(&mut tx, id).await?;
        actor.note_workflow_cancel(&mut tx, id, cancelled).await?;
    }
    tx.commit().await?;
    let context = context.at(&format!("/internal/workflows/{id}"));
    let workflow = read(&api, &viewer, &context, &Paging::first(), id).await?;
    let status = if workflow.is_final { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(answered(first, answer(status, workflow)))
}

query_params! {
    /// Which workflows to list.
    pub(crate) struct WorkflowQuery {
        ..filter: WorkflowFilterParams,
        ..paging: Paging<Uuid>,
    }
}

/// Jobs that are counted of each workflow in a list.
const COUNTED: u32 = 500;

/// Lists workflows, newest first, such as the daily pipelines of one day.
///
/// Of large ones, the first 500 jobs are counted. With `state`, a page looks at a bounded number of
/// workflows: where few match it can be short, or empty, and `next` goes on from there.
#[utoipa::path(
    get, path = "/internal/workflows", tag = "Jobs", params(Query::<WorkflowQuery>),
    responses(
        (status = 200, description = "A page of workflows", body = Page<WorkflowSummary>),
        (status = 404, description = "unknown_tenant")
    )
)]
pub(crate) async fn list_workflows(
    State(api): State<Api>,
    context: RequestContext,
    Query(query): Query<WorkflowQuery>,
) -> Result<Page<WorkflowSummary>, Problem> {
    let WorkflowQuery { filter, paging } = query;
    let (mut filter, tenant) = filter.filter();
    filter.name = filter.name.map(|name| api.catalog.name_of(&name).to_owned());
    if let Some(name) = &tenant {
        filter.tenant = Some(tenant_of_filter(&api.web, name).await?);
    }
    let limit = paging.limit().saturating_as::<usize>();
    let listed = {
        let mut read = api.web.reads.of_service().await?;
        read::workflows(read.conn(), &filter, paging.after, limit, COUNTED).await?
    };
    let next = listed.next.and_then(|below| next_url(&below, &context));
    let mut items = Vec::with_capacity(listed.rows.len());
    for row in listed.rows {
        let tenant = api.web.slugs.of(row.tenant_id).await?;
        items.push(WorkflowSummary::new(row, &tenant, &context.base));
    }
    Ok(Page { items, next })
}

/// Retries the failed jobs of a workflow, and with them those that were cancelled because of them.
///
/// What somebody cancelled stays cancelled, and what has completed is not done again. Up to 200
/// failed jobs are retried at once; more by a job of kind `bulk_jobs`, whose id is in the answer.
/// A repeat changes nothing until one of them fails again.
#[utoipa::path(
    post, path = "/internal/workflows/{id}/retry-failed", tag = "Jobs",
    params(("id" = Uuid, Path, description = "The workflow")),
    responses(
        (status = 200, description = "The workflow is final: it was retried already, or all that failed has been enqueued elsewhere", body = RetriedWorkflow),
        (status = 202, description = "The failed jobs will run again", body = RetriedWorkflow),
        (status = 409, description = "nothing_failed: no job of it is discarded")
    )
)]
pub(crate) async fn retry_failed_of_workflow(
    State(api): State<Api>,
    viewer: Viewer,
    context: RequestContext,
    ServiceActor(actor): ServiceActor,
    action: Action<Uuid>,
) -> Result<Response, Problem> {
    let id = action.target;
    let mut tx = api.pool.begin().await?;
    let first = action.is_first(&mut tx).await?;
    let done =
        if first { retry_failed(&mut tx, id, actor.name()).await? } else { WorkflowRetry::NothingFailed };
    let replayed = done == WorkflowRetry::NothingFailed;
    if !replayed {
        actor.note_workflow_retry(&mut tx, id, &done.detail()).await?;
    } else if first && !audit::has(&mut tx, audit::WORKFLOW_RETRY, &id.to_string()).await? {
        return Err(nothing_failed(id));
    }
    tx.commit().await?;
    let context = context.at(&format!("/internal/workflows/{id}"));
    let workflow = read(&api, &viewer, &context, &Paging::first(), id).await?;
    let runs = matches!(done, WorkflowRetry::Begun(_)) || !workflow.is_final;
    let status = if runs { StatusCode::ACCEPTED } else { StatusCode::OK };
    let (retried, refused, bulk_job_id) = match done {
        WorkflowRetry::NothingFailed => (0, 0, None),
        WorkflowRetry::Done { retried, refused } => (retried, refused, None),
        WorkflowRetry::Begun(job) => (0, 0, Some(job)),
    };
    let link = next_link(workflow.next.as_deref());
    let body = RetriedWorkflow { retried, refused, bulk_job_id, replayed, workflow };
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().extend(link);
    Ok(answered(!replayed, response))
}

/// 409: there is nothing to retry.
pub(crate) fn nothing_failed(id: Uuid) -> Problem {
    let detail = format!(
        "no job of workflow {id} has failed; cancelled ones are retried one by one, or by a bulk action with its workflow_id"
    );
    Problem::conflict("nothing_failed", "Nothing has failed", detail)
}

async fn read(
    api: &Api,
    viewer: &Viewer,
    context: &RequestContext,
    paging: &Paging<i64>,
    id: Uuid,
) -> Result<Workflow, Problem> {
    let mut conn = api.pool.acquire().await?;
    let title = workflow::title(&mut conn, id).await?.ok_or(QueueError::UnknownWorkflow(id))?;
    let found = read::workflow_counts(&mut conn, id).await?;
    let rows = read::workflow(&mut conn, id, paging.after, paging.rows()).await?;
    let rows = paging.collect(stream::iter(rows.into_iter().map(Ok)), JobRow::bytes).await?;
    let Page { items: rows, next } = rows.page(context, |row| row.seq);
    let on_page: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let edges = workflow::edges(&mut conn, &on_page).await?;
    // Given back before the slugs are looked up, which may need one too.
    drop(conn);
    let tenant = api.web.slugs.of(title.tenant_id).await?;
    let url = context.url(&format!("/internal/workflows/{id}"));
    let is_final = found.counts.live() == 0;
    let observed_at = rows.iter().map(|row| row.observed_at).max();
    let names: Vec<Option<String>> = rows.iter().map(|row| row.name.clone()).collect();
    let jobs = names.into_iter().zip(viewer.resources(rows).await?);
    Ok(Workflow {
        head: WorkflowHead::new(id, title, &tenant),
        state: found.state(),
        is_final,
        was_is_final: is_final,
        total: found.counts.total().unsigned_abs(),
        counts: counts(&found.counts),
        jobs: jobs.map(|(name, job)| WorkflowJob { name, job }).collect(),
        edges: edges.into_iter().map(Edge::from).collect(),
        next,
        links: WorkflowLinks {
            cancel: format!("{url}/cancel"),
            retry_failed: format!("{url}/retry-failed"),
            jobs: context.url(&format!("/internal/jobs?workflow_id={id}")),
            this: url.clone(),
        },
        status_url: url,
        observed_at,
    })
}

fn answer(status: StatusCode, workflow: Workflow) -> Response {
    let link = next_link(workflow.next.as_deref());
    let mut response = (status, Json(workflow)).into_response();
    response.headers_mut().extend(link);
    response
}
