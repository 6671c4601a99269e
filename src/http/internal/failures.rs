//! `GET /internal/failures`.

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use weirgate_queue::telemetry::failures::{self, Failure, FailurePage, MAX_COUNTED_JOBS};
use weirgate_web::context::RequestContext;
use weirgate_web::page::{Page, Paging, next_url};
use weirgate_web::params::Query;
use weirgate_web::problem::Problem;

use crate::http::Api;

/// Jobs that failed alike: of one kind, with one code, and with one message but for what differs
/// from one to the next.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Failure)]
pub(crate) struct FailureResource {
    /// Names it: the filter `failure_id` of the list of jobs, and of bulk actions, takes it.
    #[schema(minimum = 0, maximum = 4_503_599_627_370_495_i64)]
    id: i64,
    /// The kind of job.
    #[schema(example = "ingest_tickets")]
    kind: String,
    /// Names the failure.
    #[schema(example = "upstream_unavailable")]
    code: String,
    /// The message, with … for quoted text and # for words with digits in them.
    #[schema(example = "HTTP 503 from https://#.example/a")]
    message: String,
    /// Attempts that failed so, since it was first seen.
    attempts: i64,
    /// Retryable jobs with it.
    retryable: i64,
    /// Discarded jobs with it.
    discarded: i64,
    /// Whether `retryable` and `discarded` are all of them: at most 501 jobs are counted.
    exact: bool,
    first_seen_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
    /// The newest of these jobs; null where it has just been retried, cancelled or deleted.
    #[schema(required = true)]
    job_id: Option<Uuid>,
    /// The list of these jobs.
    #[schema(format = "uri")]
    jobs_url: String,
}

impl FailureResource {
    fn new(failure: Failure, context: &RequestContext) -> Self {
        let Failure { id, kind, code, pattern, first_seen, last_seen, seen, retryable, discarded, job } =
            failure;
        Self {
            id,
            kind,
            code,
            message: pattern,
            attempts: seen,
            retryable,
            discarded,
            exact: retryable + discarded <= MAX_COUNTED_JOBS,
            first_seen_at: first_seen,
            last_seen_at: last_seen,
            job_id: job,
            jobs_url: context.url(&format!("/internal/jobs?failure_id={id}")),
        }
    }
}

/// Lists failures: retryable and discarded jobs, grouped by their last error, the last seen first.
///
/// A page looks at a bounded number of failures: where few of them still have jobs it can be short,
/// or empty, and `next` goes on from there.
#[utoipa::path(
    get, path = "/internal/failures", tag = "Operation", params(Query::<Paging<(DateTime<Utc>, i64)>>),
    responses((status = 200, description = "A page of failures", body = Page<FailureResource>))
)]
pub(crate) async fn list_failures(
    State(api): State<Api>,
    context: RequestContext,
    Query(paging): Query<Paging<(DateTime<Utc>, i64)>>,
) -> Result<Page<FailureResource>, Problem> {
    let mut conn = api.pool.acquire().await?;
    let FailurePage { rows, next } = failures::list(&mut conn, paging.after, paging.limit()).await?;
    let items = rows.into_iter().map(|failure| FailureResource::new(failure, &context)).collect();
    Ok(Page { items, next: next.and_then(|place| next_url(&place, &context)) })
}
