//! `/internal/jobs`.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use az::SaturatingAs;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;
use weirgate_identity::audit::{self, Change, Subject};
use weirgate_queue::{JobState, QueueError, control};
use weirgate_web::client_address::ServiceActor;
use weirgate_web::context::RequestContext;
use weirgate_web::extract::{Action, Body, Path, answered};
use weirgate_web::follow::{Viewer, job_response};
use weirgate_web::job::JobResource;
use weirgate_web::job_list::AnyTenantsJobQuery;
use weirgate_web::openapi::{JobEvents, JobPolled};
use weirgate_web::page::Page;
use weirgate_web::params::{Query, take_wait};
use weirgate_web::problem::{FieldError, Problem};
use weirgate_web::query_params;

use crate::http::Api;

/// How long a cancellation waits for a running job to stop.
const CANCEL_WAIT: Duration = Duration::from_secs(5);

const RETRY: &str = "job.retry";
const RUN_NOW: &str = "job.run_now";

query_params! {
    /// How to poll.
    pub(crate) struct PollParams {
        /// Hold the request until the job is final, but no longer than this many seconds, and 60 at
        /// most.
        #[param(value_type = u32, minimum = 0)]
        pub(crate) wait: Option<Duration> = take_wait,
    }
}

/// Lists jobs, newest first.
///
/// A page looks at a bounded number of jobs: where few match it can be short, or empty, and `next`
/// goes on from there.
#[utoipa::path(
    get, path = "/internal/jobs", tag = "Jobs",
    params(Query::<AnyTenantsJobQuery>),
    responses(
        (status = 200, description = "A page of jobs", body = Page<JobResource>),
        (status = 404, description = "unknown_tenant")
    )
)]
pub(crate) async fn list_jobs(
    State(api): State<Api>,
    viewer: Viewer,
    context: RequestContext,
    Query(query): Query<AnyTenantsJobQuery>,
) -> Result<Page<JobResource>, Problem> {
    query.run(&api.web, &viewer, &context).await
}

/// Shows a job. A failed job is still a 200.
#[utoipa::path(
    get, path = "/internal/jobs/{id}", tag = "Jobs",
    params(("id" = Uuid, Path, description = "The job"), Query::<PollParams>),
    responses(JobPolled)
)]
pub(crate) async fn get_job(
    viewer: Viewer,
    Path(id): Path<Uuid>,
    Query(poll): Query<PollParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    viewer.poll(id, poll.wait, &headers).await
}

/// Streams a job: an event `job` with the whole resource at once and after every change of state or
/// progress.
///
/// Closes after the final one.
#[utoipa::path(
    get, path = "/internal/jobs/{id}/events", tag = "Jobs",
    params(("id" = Uuid, Path, description = "The job")),
    responses(JobEvents)
)]
pub(crate) async fn stream_job(
    viewer: Viewer,
    Path(id): Path<Uuid>,
    Query(()): Query<()>,
) -> Result<Response, Problem> {
    viewer.events(id).await
}

/// Cancels a job. A running one is told to stop, and waited for up to 5 seconds; a final one stays
/// as it is.
#[utoipa::path(
    post, path = "/internal/jobs/{id}/cancel", tag = "Jobs",
    params(("id" = Uuid, Path, description = "The job")),
    responses(
        (status = 200, description = "The job is final", body = JobResource),
        (status = 202, description = "The running job was told to stop", body = JobResource)
    )
)]
pub(crate) async fn cancel_job(
    State(api): State<Api>,
    viewer: Viewer,
    ServiceActor(actor): ServiceActor,
    action: Action<Uuid>,
) -> Result<Response, Problem> {
    let id = action.target;
    let mut tx = api.pool.begin().await?;
    let first = action.is_first(&mut tx).await?;
    if first {
        let change = Change::begin(&mut tx, Subject::Job(id)).await?;
        control::cancel(&mut tx, id).await?;
        change.note(&mut tx, &actor, "job.cancel", &["state"]).await?;
    }
    tx.commit().await?;
    // One that runs is told to stop.
    let job = match viewer.job(id).await? {
        job if job.state == JobState::Running => viewer.job_within(id, CANCEL_WAIT).await?,
        job => job,
    };
    let status = if job.is_final() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(answered(first, job_response(status, JobResource { replayed: !first, ..job })))
}

/// Retries a discarded or cancelled job, with all its attempts.
///
/// Jobs that were cancelled because of it are retried, too, except for those that cannot be:
/// docs/workflows.md has the rules. A repeat changes nothing until the job is discarded or
/// cancelled again. An `Idempotency-Key` keeps a repeat apart from another retry also
/// after it has failed again.
#[utoipa::path(
    post, path = "/internal/jobs/{id}/retry", tag = "Jobs",
    params(("id" = Uuid, Path, description = "The job")),
    responses(
        (status = 200, description = "The job will run again, or was retried already", body = JobResource),
        (status = 409, description = "wrong_state: it is not discarded or cancelled, the same job has been enqueued again \
            already, or a job it depends on failed")
    )
)]
pub(crate) async fn retry_job(
    State(api): State<Api>,
    viewer: Viewer,
    ServiceActor(actor): ServiceActor,
    action: Action<Uuid>,
) -> Result<Response, Problem> {
    let id = action.target;
    let mut tx = api.pool.begin().await?;
    let first = action.is_first(&mut tx).await?;
    let change = Change::begin(&mut tx, Subject::Job(id)).await?;
    let done = first
        && match control::retry(&mut tx, id).await {
            Ok(_) => change.note(&mut tx, &actor, RETRY, &["state"]).await.map(|_| true)?,
            Err(QueueError::WrongState { state, .. })
                if !matches!(state, JobState::Discarded | JobState::Cancelled)
                    && audit::has(&mut tx, RETRY, &id.to_string()).await? =>
            {
                false
            }
            Err(error) => return Err(error.into()),
        };
    tx.commit().await?;
    let job = JobResource { replayed: !done, ..viewer.job(id).await? };
    Ok(answered(done, job_response(StatusCode::OK, job)))
}

/// Makes a scheduled or retryable job available at once, instead of at its time.
///
/// It takes its place in its tenant's lane; limits and pauses still apply. It changes nothing for a
/// job that is available or running already, and a repeat changes nothing after the job is final.
#[utoipa::path(
    post, path = "/internal/jobs/{id}/run_now", tag = "Jobs",
    params(("id" = Uuid, Path, description = "The job")),
    responses(
        (status = 200, description = "The job is available, or has run already", body = JobResource),
        (status = 409, description = "wrong_state: it waits for other jobs, or is final")
    )
)]
pub(crate) async fn run_job_now(
    State(api): State<Api>,
    viewer: Viewer,
    ServiceActor(actor): ServiceActor,
    action: Action<Uuid>,
) -> Result<Response, Problem> {
    let id = action.target;
    let mut tx = api.pool.begin().await?;
    let first = action.is_first(&mut tx).await?;
    let change = Change::begin(&mut tx, Subject::Job(id)).await?;
    let done = first
        && match control::run_now(&mut tx, id).await {
            Ok(_) => change.note(&mut tx, &actor, RUN_NOW, &["state"]).await.map(|_| true)?,
            Err(QueueError::WrongState { state: JobState::Available | JobState::Running, .. }) => false,
            Err(QueueError::WrongState { state, .. })
                if state.is_final() && audit::has(&mut tx, RUN_NOW, &id.to_string()).await? =>
            {
                false
            }
            Err(error) => return Err(error.into()),
        };
    // Of a job that may start already, it is the first request that changed nothing.
    let replayed = !first || !done && audit::has(&mut tx, RUN_NOW, &id.to_string()).await?;
    tx.commit().await?;
    let job = JobResource { replayed, ..viewer.job(id).await? };
    Ok(answered(!replayed, job_response(StatusCode::OK, job)))
}

/// The priority a job is to have.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPriority {
    /// Higher first.
    #[schema(required = true, value_type = i64, minimum = -100, maximum = 100, example = 10)]
    priority: Option<i64>,
}

/// The priority in `given`.
pub(crate) fn checked_priority(given: Option<i64>) -> Result<i16, FieldError> {
    let message = match given {
        Some(number @ -100..=100) => return Ok(number.saturating_as::<i16>()),
        Some(_) => "expected a whole number from -100 to 100",
        None => "required",
    };
    Err(FieldError { field: "priority".to_owned(), message: message.to_owned() })
}

/// Changes the priority of a job that is not final; of a running one it counts from its next
/// attempt on.
///
/// In its tenant's lane it stands from the next claim on as if it had been enqueued with this
/// priority.
#[utoipa::path(
    put, path = "/internal/jobs/{id}/priority", tag = "Jobs",
    params(("id" = Uuid, Path, description = "The job")), request_body = NewPriority,
    responses(
        (status = 200, description = "The job as it is now", body = JobResource),
        (status = 409, description = "wrong_state: it is final")
    )
)]
pub(crate) async fn set_job_priority(
    State(api): State<Api>,
    viewer: Viewer,
    ServiceActor(actor): ServiceActor,
    Path(id): Path<Uuid>,
    Query(()): Query<()>,
    Body(body): Body<NewPriority>,
) -> Result<Response, Problem> {
    let priority = checked_priority(body.priority).map_err(|error| Problem::invalid(vec![error]))?;
    let mut tx = api.pool.begin().await?;
    let change = Change::begin(&mut tx, Subject::Job(id)).await?;
    control::set_priority(&mut tx, id, priority).await?;
    change.note(&mut tx, &actor, "job.priority", &["priority"]).await?;
    tx.commit().await?;
    Ok(job_response(StatusCode::OK, viewer.job(id).await?))
}
