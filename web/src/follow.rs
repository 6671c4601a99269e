//! Looking at jobs for one caller: at once, after a wait, or as a stream of events.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{Stream, iter, unfold};
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;
use weirgate_queue::JobState;
use weirgate_queue::lanes::QueuePosition;
use weirgate_queue::read::watch::JobSnapshot;
use weirgate_queue::read::{self, JobFilter, JobPage, JobRow};

use crate::auth::CallerTenant;
use crate::context::RequestContext;
use crate::job::JobResource;
use crate::problem::Problem;
use crate::reason::{WhyCancelled, reasons};
use crate::state::Web;

/// How long an event stream trusts that nothing happened; then it looks whether the job still
/// exists.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// One caller's eyes: the service sees all jobs, a tenant its own.
#[derive(Clone)]
pub struct Viewer {
    web: Web,
    context: RequestContext,
    tenant: Option<CallerTenant>,
}

impl<S: Sync> FromRequestParts<S> for Viewer
where
    Web: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let context = RequestContext::from_request_parts(parts, state).await?;
        Ok(Self {
            web: Web::from_ref(state),
            context,
            tenant: parts.extensions.get::<CallerTenant>().cloned(),
        })
    }
}

impl Viewer {
    /// The service, on behalf of which a request with this context runs.
    pub fn service(web: &Web, context: &RequestContext) -> Self {
        Self { web: web.clone(), context: context.clone(), tenant: None }
    }

    pub async fn job(&self, id: Uuid) -> Result<JobResource, Problem> {
        if let Some(tenant) = &self.tenant {
            let row = read::get_abridged(self.web.reads.under_tenant(tenant.id).await?.conn(), id).await?;
            let row = row.ok_or_else(|| Problem::unknown_job(&id))?;
            return Ok(self.resources(vec![row]).await?.remove(0));
        }
        let (row, position) = self.web.reader.get(id).await?.ok_or_else(|| Problem::unknown_job(&id))?;
        let cancelled = self.why_cancelled(std::slice::from_ref(&row)).await?.remove(&row.id);
        Ok(JobResource { why_cancelled: cancelled, ..self.resource(row, position.as_ref()).await? })
    }

    pub async fn list(
        &self,
        filter: &JobFilter,
        before: Option<i64>,
        limit: i64,
    ) -> Result<JobPage, Problem> {
        let listed = match &self.tenant {
            None => {
                let mut tx = self.web.reads.of_service().await?;
                read::list(tx.conn(), filter, before, limit).await?
            }
            Some(tenant) => {
                let mut tx = self.web.reads.under_tenant(tenant.id).await?;
                read::list(tx.conn(), &tenants_own(filter, tenant), before, limit).await?
            }
        };
        Ok(listed)
    }

    pub async fn resources(&self, rows: Vec<JobRow>) -> Result<Vec<JobResource>, Problem> {
        let positions = if rows.iter().any(|row| row.state() == JobState::Available) {
            let mut tx = match &self.tenant {
                None => self.web.reads.of_service().await?,
                Some(tenant) => self.web.reads.for_tenant(tenant.id).await?,
            };
            self.web.queue_views.positions(tx.conn(), rows.iter().filter_map(JobRow::available)).await?
        } else {
            HashMap::new()
        };
        let mut cancelled = self.why_cancelled(&rows).await?;
        let mut resources = Vec::with_capacity(rows.len());
        for row in rows {
            let (position, why_cancelled) = (positions.get(&row.id), cancelled.remove(&row.id));
            resources.push(JobResource { why_cancelled, ..self.resource(row, position).await? });
        }
        Ok(resources)
    }

    /// Why those that are cancelled are.
    async fn why_cancelled(&self, rows: &[JobRow]) -> Result<HashMap<Uuid, WhyCancelled>, Problem> {
        if !rows.iter().any(|row| row.state() == JobState::Cancelled) {
            return Ok(HashMap::new());
        }
        match &self.tenant {
            None => {
                let mut tx = self.web.reads.of_service().await?;
                Ok(reasons(tx.conn(), rows, true).await?)
            }
            Some(tenant) => {
                let mut tx = self.web.reads.under_tenant(tenant.id).await?;
                Ok(reasons(tx.conn(), rows, false).await?)
            }
        }
    }

    async fn resource(&self, row: JobRow, position: Option<&QueuePosition>) -> Result<JobResource, Problem> {
        let slug = match &self.tenant {
            Some(tenant) => tenant.slug.clone(),
            None => self.web.slugs.of(row.tenant_id).await?,
        };
        let (base, presentation) = (&self.context.base, &self.web.presentation);
        Ok(JobResource::new(row, position, &slug, base, self.tenant.is_none(), presentation)?)
    }

    /// The job once it is final, or as it is after `wait`.
    pub async fn job_within(&self, id: Uuid, wait: Duration) -> Result<JobResource, Problem> {
        let deadline = Instant::now() + wait;
        // Followed before the first look, so that no change falls in between.
        let mut changes = self.web.watcher.follow(id);
        loop {
            let job = self.job(id).await?;
            if job.is_final() || !self.ends_before(&mut changes, deadline).await {
                return Ok(job);
            }
        }
    }

    /// Whether the job is seen to end; `false` at the deadline or when the service closes.
    async fn ends_before(&self, changes: &mut Receiver<Option<JobSnapshot>>, deadline: Instant) -> bool {
        loop {
            let event = tokio::select! {
                () = self.web.closing.cancelled() => return false,
                event = timeout_at(deadline, changes.changed()) => event,
            };
            if !matches!(event, Ok(Ok(()))) {
                return false;
            }
            if changes.borrow_and_update().as_ref().is_some_and(|look| look.state.is_final()) {
                return true;
            }
        }
    }

    /// The answer to a poll: 304 when the caller has this very end of the job already.
    pub async fn poll(
        &self,
        id: Uuid,
        wait: Option<Duration>,
        headers: &HeaderMap,
    ) -> Result<Response, Problem> {
        let job = match wait {
            Some(wait) => self.job_within(id, wait).await?,
            None => self.job(id).await?,
        };
        let Some(etag) = job.etag().and_then(|etag| HeaderValue::try_from(etag).ok()) else {
            return self.respond(StatusCode::OK, job).await;
        };
        if none_match(headers, &etag) {
            return Ok((StatusCode::NOT_MODIFIED, [(ETAG, etag)]).into_response());
        }
        let mut response = self.respond(StatusCode::OK, job).await?;
        response.headers_mut().insert(ETAG, etag);
        Ok(response)
    }

    /// The job with its whole output, however large.
    pub async fn respond(&self, status: StatusCode, job: JobResource) -> Result<Response, Problem> {
        if !job.output_omitted {
            return Ok(job_response(status, job));
        }
        let output = match &self.tenant {
            None => {
                let mut tx = self.web.reads.of_service().await?;
                read::output(tx.conn(), job.id, job.finalized_at).await?
            }
            Some(tenant) => {
                let mut tx = self.web.reads.under_tenant(tenant.id).await?;
                read::output(tx.conn(), job.id, job.finalized_at).await?
            }
        };
        match output {
            Some(output) => Ok(job_with(status, job, Bytes::from_owner(output))?),
            // It has gone on since, to another life or another output. Its links lead to it.
            None => Ok(job_response(status, job)),
        }
    }

    /// The job now and after every change, until it is final.
    pub async fn events(self, id: Uuid) -> Result<Response, Problem> {
        let changes = self.web.watcher.follow(id);
        let first = self.job(id).await?;
        let stream = Events { viewer: self, id, changes, last: None, next: Some(first) }.stream();
        let keep_alive = KeepAlive::new().interval(Duration::from_secs(15)).text("still here");
        Ok(Sse::new(stream).keep_alive(keep_alive).into_response())
    }
}

/// The filter for the jobs of `tenant`, by what it sees of them. For the way to them; it is
/// row-level security that hides others.
fn tenants_own(filter: &JobFilter, tenant: &CallerTenant) -> JobFilter {
    let mut own = JobFilter { tenant: Some(tenant.id), codes_only: true, ..filter.clone() };
    // Each of its jobs has its slug.
    let is_own = |name: &String| **name == *tenant.slug || name.parse() == Ok(tenant.id);
    if own.args.get("tenant").is_some_and(is_own) {
        own.args.remove("tenant");
    }
    own.text = own.text.filter(|text| !tenant.slug.to_lowercase().contains(&text.to_lowercase()));
    own
}

/// The job, with `Retry-After` while it is not final.
pub fn job_response(status: StatusCode, job: JobResource) -> Response {
    let retry_after = job.retry_after_s;
    let mut response = (status, Json(job)).into_response();
    response.headers_mut().extend(retry_after.map(|seconds| (RETRY_AFTER, seconds.into())));
    response
}

/// The job and its output, of which no copy is made: the answer's parts are sent one after the
/// other.
fn job_with(status: StatusCode, job: JobResource, output: Bytes) -> Result<Response, serde_json::Error> {
    const OUTPUT: &str = r#","output":"#;
    let job = JobResource { output: None, output_omitted: false, ..job };
    let args = serde_json::to_string(&job.args)?;
    let head = serde_json::to_string(&job)?;
    // Quotes inside of texts are escaped, and what stands before the arguments has no members of
    // its own: this is where they are.
    let before = head.find(r#""args":"#).unwrap_or_default() + r#""args":"#.len() + args.len() + OUTPUT.len();
    let after = before + "null".len();
    debug_assert!(head[..before].ends_with(OUTPUT) && head[before..].starts_with("null"), "{head}");
    let rest = Bytes::copy_from_slice(&head.as_bytes()[after..]);
    let length = before + output.len() + rest.len();
    let parts = [Bytes::copy_from_slice(&head.as_bytes()[..before]), output, rest];
    let body = Body::from_stream(iter(parts.map(Ok::<_, Infallible>)));
    let mut response = (status, [(CONTENT_TYPE, "application/json")], body).into_response();
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response.headers_mut().extend(job.retry_after_s.map(|seconds| (RETRY_AFTER, seconds.into())));
    Ok(response)
}

/// Whether `If-None-Match` names this tag; by weak comparison, as RFC 9110 has it for that header.
pub fn none_match(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let Some(etag) = etag.to_str().ok().map(opaque) else { return false };
    let given = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    given.flat_map(|value| value.split(',')).any(|tag| tag.trim() == "*" || opaque(tag) == etag)
}

struct Events {
    viewer: Viewer,
    id: Uuid,
    changes: Receiver<Option<JobSnapshot>>,
    /// What was sent last.
    last: Option<JobResource>,
    /// What is to be sent at once.
    next: Option<JobResource>,
}

impl Events {
    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        unfold(self, async |mut events| {
            let job = match events.next.take() {
                Some(job) => job,
                None => events.change().await?,
            };
            let event = Event::default().event("job").json_data(&job).ok()?;
            events.last = Some(job);
            Some((Ok(event), events))
        })
    }

    /// The job after its next change; `None` when nothing can follow.
    async fn change(&mut self) -> Option<JobResource> {
        let last = self.last.as_ref()?;
        if last.is_final() {
            return None;
        }
        loop {
            tokio::select! {
                () = self.viewer.web.closing.cancelled() => return None,
                changed = timeout(LOOK_AGAIN, self.changes.changed()) => if let Ok(Err(_)) = changed { return None },
            }
            let job = self.viewer.job(self.id).await.ok()?;
            if !last.looks_like(&job) {
                return Some(job);
            }
        }
    }
}
