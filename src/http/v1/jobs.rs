//! `/v1/jobs`.

use axum::http::HeaderMap;
use axum::response::Response;
use uuid::Uuid;
use weirgate_web::auth::CallerTenant;
use weirgate_web::context::RequestContext;
use weirgate_web::extract::Path;
use weirgate_web::follow::Viewer;
use weirgate_web::job::JobResource;
use weirgate_web::job_list::JobQuery;
use weirgate_web::openapi::{JobEvents, JobPolled};
use weirgate_web::page::Page;
use weirgate_web::params::Query;
use weirgate_web::problem::Problem;
use weirgate_web::table::Listing;

use crate::http::internal::jobs::PollParams;

/// Lists the tenant's jobs, newest first.
///
/// A page looks at a bounded number of jobs: where few match it can be short, or empty, and `next`
/// goes on from there.
#[utoipa::path(
    get, path = "/v1/jobs", tag = "Results", operation_id = "list_tenant_jobs",
    params(Listing::<JobQuery>),
    responses((
        status = 200, description = "A page of jobs",
        content((Page<JobResource> = "application/json"), (String = "text/csv"))
    ))
)]
pub(crate) async fn list_jobs(
    viewer: Viewer,
    tenant: CallerTenant,
    context: RequestContext,
    Listing { query, form }: Listing<JobQuery>,
) -> Result<Response, Problem> {
    form.answer(query.run(&viewer, &context).await?, &format!("{}_jobs", tenant.slug))
}

/// Shows a job of the tenant. A failed job is still a 200.
#[utoipa::path(
    get, path = "/v1/jobs/{id}", tag = "Results", operation_id = "get_tenant_job",
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

/// Streams a job of the tenant: an event `job` with the whole resource at once and after every
/// change.
///
/// Closes after the final one.
#[utoipa::path(
    get, path = "/v1/jobs/{id}/events", tag = "Results", operation_id = "stream_tenant_job",
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
