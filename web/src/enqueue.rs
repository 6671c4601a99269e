//! What every enqueueing request has in common: how it is read, how it commits, what it answers.

use axum::body::Bytes;
use axum::extract::{FromRef, FromRequest, FromRequestParts, Request};
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::{IntoParams, ToSchema};
use weirgate_identity::Tenant;
use weirgate_identity::audit::Actor;
use weirgate_queue::NewJob;

use crate::batcher::{Accepted, Note, Of, enqueue_alone};
use crate::client_address::{ServiceActor, TrustedProxies};
use crate::context::RequestContext;
use crate::extract::{parse_body, read_body};
use crate::follow::Viewer;
use crate::idempotency::{IdempotencyKey, REPLAYED};
use crate::job::JobResource;
use crate::params::{Fields, FromQuery};
use crate::parse::TenantName;
use crate::plan::Plan;
use crate::prefer;
use crate::problem::Problem;
use crate::query_params;
use crate::state::Web;
use crate::traces::OpenSpan;

const MOST_ATTEMPTS: i64 = 100;

query_params! {
    /// Whose job it is.
    struct TenantParam {
        /// The tenant's slug or UUID.
        #[param(value_type = String, pattern = "^[A-Za-z0-9_-]{1,64}$", example = "tenant_demo_cca")]
        tenant_id: TenantName,
    }
}

query_params! {
    /// What every enqueueing request takes.
    pub struct OptionParams {
        /// Enqueue even if the same job is not final yet.
        #[param(default = false)]
        force: Option<bool>,
        /// Not before this time; also as a body field.
        run_at: Option<DateTime<Utc>>,
        /// Higher first; also as a body field.
        #[param(value_type = i16, minimum = -100, maximum = 100, default = 0)]
        priority: Option<i64> = |fields, name| fields.in_range(name, -100..=100),
        /// Attempts after which a failure discards the job; also as a body field.
        #[param(value_type = i16, minimum = 1, maximum = 100)]
        max_attempts: Option<i64> = |fields, name| fields.in_range(name, 1..=MOST_ATTEMPTS),
    }
}

/// Headers that every enqueueing request takes.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documents what EnqueueRequest reads")]
pub struct EnqueueHeaders {
    /// The same key with the same request (method, path, query and body) of the same caller gives
    /// the same job again, for 24 hours.
    #[param(
        rename = "Idempotency-Key",
        required = false,
        pattern = "^[!-~]{1,255}$",
        min_length = 1,
        max_length = 255
    )]
    idempotency_key: String,
    /// `wait=N`: answer with the finished job if it ends within N seconds (at most 60).
    #[param(rename = "Prefer", required = false, pattern = "^[ -~]*$", example = "wait=10")]
    prefer: String,
    /// W3C trace context, carried into the job.
    #[param(
        required = false,
        pattern = "^[ -~]*$",
        example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    )]
    traceparent: String,
}

/// How the job is to be run. Every field may be left out, and so may the body.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EnqueueOptions, example = json!({"priority": 10}))]
pub struct EnqueueBody {
    /// Not before this time.
    #[schema(value_type = Option<DateTime<Utc>>)]
    pub run_at: Option<String>,
    /// Higher first.
    #[schema(value_type = Option<i16>, minimum = -100, maximum = 100)]
    pub priority: Option<i64>,
    /// Attempts after which a failure discards the job.
    #[schema(value_type = Option<i16>, minimum = 1, maximum = 100)]
    pub max_attempts: Option<i64>,
}

/// What applies to every job of the request.
#[derive(Debug, Clone)]
struct Options {
    force: bool,
    run_at: Option<DateTime<Utc>>,
    priority: i16,
    max_attempts: Option<i16>,
    traceparent: String,
    /// Who asks for it.
    who: String,
}

impl Options {
    fn check(
        fields: &mut Fields,
        given: &OptionParams,
        body: &EnqueueBody,
        traceparent: &str,
        actor: &Actor,
    ) -> Self {
        let &OptionParams { force, run_at, priority, max_attempts } = given;
        let body_run_at = body.run_at.as_ref().and_then(|text| fields.parse("run_at", text));
        let body_priority = body.priority.and_then(|number| in_range(fields, "priority", number, -100));
        let body_attempts = body.max_attempts.and_then(|number| in_range(fields, "max_attempts", number, 1));
        let priority = either(fields, "priority", priority, body_priority);
        let max_attempts = either(fields, "max_attempts", max_attempts, body_attempts);
        Self {
            force: force.unwrap_or(false),
            run_at: either(fields, "run_at", run_at, body_run_at),
            priority: priority.and_then(|number| number.try_into().ok()).unwrap_or(0),
            max_attempts: max_attempts.and_then(|number| number.try_into().ok()),
            traceparent: traceparent.to_owned(),
            who: actor.name().to_owned(),
        }
    }

    /// Begins the span of the enqueue, whose trace context the jobs carry on.
    fn trace(&mut self, web: &Web) -> Option<Box<dyn OpenSpan>> {
        let span = web.traces.as_ref()?.enqueue(&self.traceparent);
        self.traceparent = span.traceparent();
        Some(span)
    }

    fn apply(&self, mut job: NewJob) -> NewJob {
        if let Some(at) = self.run_at {
            job = job.run_at(at);
        }
        if let Some(attempts) = self.max_attempts {
            job = job.max_attempts(attempts);
        }
        job.priority(self.priority).traceparent(Some(self.traceparent.clone())).enqueued_by(&self.who)
    }
}

/// Both limits' upper end is 100.
fn in_range(fields: &mut Fields, name: &str, number: i64, least: i64) -> Option<i64> {
    if (least..=100).contains(&number) {
        return Some(number);
    }
    fields.fail(name, format!("expected a whole number from {least} to 100"));
    None
}

fn either<T: PartialEq>(fields: &mut Fields, name: &str, query: Option<T>, body: Option<T>) -> Option<T> {
    if query.is_some() && body.is_some() && query != body {
        fields.fail(name, "given both in the query and in the body, with different values");
    }
    query.or(body)
}

/// A request with its body, read but not understood yet.
#[derive(Debug)]
pub struct Received {
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub body: Bytes,
    key: Option<IdempotencyKey>,
    context: RequestContext,
    actor: Actor,
}

impl Received {
    pub async fn read<S: Sync>(request: Request, state: &S) -> Result<Self, Problem>
    where
        TrustedProxies: FromRef<S>,
    {
        let (mut parts, body) = request.into_parts();
        let ServiceActor(actor) = ServiceActor::from_request_parts(&mut parts, state).await?;
        let context = parts.extensions.get::<RequestContext>().cloned().ok_or_else(Problem::internal)?;
        let head = parts.clone();
        let body = read_body(Request::from_parts(parts, body)).await?;
        let key = IdempotencyKey::of(&head, &body)?;
        let query = head.uri.query().map(str::to_owned);
        Ok(Self { query, headers: head.headers, body, key, context, actor })
    }

    /// How its jobs are to be enqueued, from the parameters and from `body`. May answer `None` once
    /// `fields` holds an error.
    pub fn terms(self, fields: &mut Fields, body: &EnqueueBody) -> Option<Terms> {
        let Self { key, headers, context, actor, .. } = self;
        let given = OptionParams::take(fields)?;
        let options = Options::check(fields, &given, body, &context.traceparent, &actor);
        Some(Terms { options, key, headers, context, actor })
    }
}

/// How the jobs of a request are enqueued and what is answered.
#[derive(Debug)]
pub struct Terms {
    options: Options,
    key: Option<IdempotencyKey>,
    headers: HeaderMap,
    context: RequestContext,
    actor: Actor,
}

/// A checked request that enqueues for a tenant, with the parameters `Q` of its own.
#[derive(Debug)]
pub struct EnqueueRequest<Q> {
    tenant: TenantName,
    terms: Terms,
    /// The parameters of this endpoint.
    pub query: Q,
}

impl<S: Sync, Q: FromQuery> FromRequest<S> for EnqueueRequest<Q>
where
    TrustedProxies: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let received = Received::read(request, state).await?;
        let body: EnqueueBody = parse_body(&received.headers, &received.body)?;
        let mut fields = Fields::of(received.query.as_deref());
        let tenant = TenantParam::take(&mut fields);
        let query = Q::take(&mut fields);
        let terms = received.terms(&mut fields, &body);
        let ((tenant, query), terms) = fields.finish(tenant.zip(query).zip(terms))?;
        Ok(Self { tenant: tenant.tenant_id, terms, query })
    }
}

impl<Q: FromQuery> IntoParams for EnqueueRequest<Q> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        [Q::parameters(), TenantParam::parameters(), OptionParams::parameters()].concat()
    }
}

impl<Q: Send + 'static> EnqueueRequest<Q> {
    /// Enqueues what `plan` makes for the tenant and answers with the job. `plan` also gets what to
    /// apply to each job.
    pub async fn run(
        self,
        web: &Web,
        plan: impl FnOnce(&Tenant, &Q, &dyn Fn(NewJob) -> NewJob) -> weirgate_queue::Result<Plan> + Send + 'static,
    ) -> Result<Response, Problem> {
        let Self { tenant, terms, query } = self;
        let Terms { mut options, key, headers, context, actor } = terms;
        let span = options.trace(web);
        let force = options.force;
        let plan = move |tenant: &Tenant| plan(tenant, &query, &|job| options.apply(job));
        let accepted = web.batcher.enqueue(&tenant.0, key, force, actor, plan).await?;
        ended(span, accepted);
        answer(web, &context, &headers, accepted).await
    }
}

impl Terms {
    /// Enqueues a job of no single tenant and answers with it; if it is new, the audit is told.
    pub async fn run(self, web: &Web, job: NewJob, of: Of) -> Result<Response, Problem> {
        let Self { mut options, key, headers, context, actor } = self;
        let span = options.trace(web);
        let plan = Plan::Job(options.apply(job));
        let note = Some(Note { actor, of });
        let accepted = enqueue_alone(&web.pool, plan, key.as_ref(), options.force, note).await?;
        ended(span, accepted);
        answer(web, &context, &headers, accepted).await
    }
}

fn ended(span: Option<Box<dyn OpenSpan>>, accepted: Accepted) {
    if let Some(span) = span {
        span.accepted(accepted.job, accepted.duplicate);
    }
}

/// 202, or 200 when the job is final: after the wait the caller preferred, or in a replay. A fast
/// worker alone does not change the status.
async fn answer(
    web: &Web,
    context: &RequestContext,
    headers: &HeaderMap,
    accepted: Accepted,
) -> Result<Response, Problem> {
    let viewer = Viewer::service(web, context);
    let wait = prefer::wait(headers);
    let job = match wait {
        Some(wait) => viewer.job_within(accepted.job, wait).await?,
        None => viewer.job(accepted.job).await?,
    };
    let job = JobResource { duplicate: accepted.duplicate, replayed: accepted.replayed, ..job };
    let may_be_final = wait.is_some() || accepted.replayed;
    let status = if may_be_final && job.is_final() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let mut response = viewer.respond(status, job).await?;
    let answered = response.headers_mut();
    if status == StatusCode::ACCEPTED {
        // It may be final already.
        answered.entry(RETRY_AFTER).or_insert(HeaderValue::from_static("1"));
    }
    let location = context.url(&format!("/internal/jobs/{}", accepted.job));
    answered.extend(HeaderValue::try_from(location).ok().map(|location| (LOCATION, location)));
    let mut flag = |name: HeaderName, given: bool| {
        if given {
            answered.insert(name, HeaderValue::from_static("true"));
        }
    };
    flag(HeaderName::from_static("job-duplicate"), accepted.duplicate);
    flag(REPLAYED, accepted.replayed);
    let applied = wait.and_then(|wait| HeaderValue::try_from(format!("wait={}", wait.as_secs())).ok());
    answered.extend(applied.map(|applied| (HeaderName::from_static("preference-applied"), applied)));
    Ok(response)
}
