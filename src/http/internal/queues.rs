//! `/internal/queues`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use weirgate_identity::audit::Actor;
use weirgate_queue::JobState;
use weirgate_queue::lanes::traffic::WINDOW_S;
use weirgate_web::client_address::ServiceActor;
use weirgate_web::context::RequestContext;
use weirgate_web::extract::{Action, Body, Path, answered};
use weirgate_web::page::Page;
use weirgate_web::params::Query;
use weirgate_web::problem::Problem;

use crate::http::Api;
use crate::http::limits::{LimitsOfQueue, LimitsOfQueueBody};
use crate::http::queue_facts::QueueFacts;
use crate::pauses::{Pausable, set_paused};
use crate::{limits, queues};

/// A queue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Queue {
    #[schema(example = "ingest")]
    name: String,
    /// Whether it is paused, so that no job of it starts.
    paused: bool,
    limits: LimitsOfQueue,
    /// Jobs that are not final, by state.
    #[schema(example = json!({"waiting": 0, "scheduled": 1, "available": 3, "running": 2, "retryable": 0}))]
    depth: BTreeMap<&'static str, i64>,
    /// Final jobs that are still kept, by state.
    #[schema(example = json!({"completed": 120, "cancelled": 0, "discarded": 1}))]
    finished: BTreeMap<&'static str, i64>,
    /// Running jobs.
    running: i64,
    /// Since when the oldest job has been available, of those that are next for their tenants; of
    /// at most 1,000 tenants.
    #[schema(required = true)]
    oldest_available_at: Option<DateTime<Utc>>,
    /// How long that is, in seconds.
    #[schema(required = true)]
    oldest_age_s: Option<f64>,
    /// Tenants with available jobs.
    lanes_with_backlog: usize,
    /// Of these, tenants that are throttled by their rate.
    throttled_lanes: usize,
    /// Until when the rate of the whole queue is used up.
    #[schema(required = true)]
    throttled_until: Option<DateTime<Utc>>,
    /// Live workers that serve it.
    workers: i64,
    /// Jobs that these workers can run at once.
    slots: i64,
    throughput: Throughput,
    /// The database's time of this answer.
    observed_at: DateTime<Utc>,
    links: QueueLinks,
}

/// Recent jobs per second.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Throughput {
    /// Seconds over which it is measured.
    window_s: u32,
    /// Attempts that started.
    started_per_s: f64,
    /// Jobs that finished: completed, cancelled or discarded.
    finished_per_s: f64,
}

/// Where to go from a queue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueueLinks {
    #[serde(rename = "self")]
    #[schema(format = "uri")]
    this: String,
    #[schema(format = "uri")]
    pause: String,
    #[schema(format = "uri")]
    resume: String,
    #[schema(format = "uri")]
    limits: String,
    /// Its jobs.
    #[schema(format = "uri")]
    jobs: String,
}

/// Lists the queues by name, on one page: every one that this version has jobs for, that a live
/// worker takes from, or that has settings.
#[utoipa::path(
    get, path = "/internal/queues", tag = "Operation",
    responses((status = 200, description = "All queues", body = Page<Queue>))
)]
pub(crate) async fn list_queues(
    State(api): State<Api>,
    context: RequestContext,
    Query(()): Query<()>,
) -> Result<Page<Queue>, Problem> {
    let items = QueueFacts::all(&api).await?;
    Ok(Page::whole(items.into_iter().map(|facts| Queue::new(facts, &context)).collect()))
}

/// Shows a queue.
#[utoipa::path(
    get, path = "/internal/queues/{name}", tag = "Operation",
    params(("name" = String, Path, description = "The queue")),
    responses((status = 200, description = "The queue", body = Queue))
)]
pub(crate) async fn get_queue(
    State(api): State<Api>,
    context: RequestContext,
    Path(name): Path<String>,
    Query(()): Query<()>,
) -> Result<Json<Queue>, Problem> {
    require(&api, &mut *api.pool.acquire().await?, &name).await?;
    show(&api, &context, name).await
}

/// Pauses a queue: no job of it starts until it is resumed. Running jobs continue.
#[utoipa::path(
    post, path = "/internal/queues/{name}/pause", tag = "Operation",
    params(("name" = String, Path, description = "The queue")),
    responses((status = 200, description = "The queue, paused", body = Queue))
)]
pub(crate) async fn pause_queue(
    State(api): State<Api>,
    context: RequestContext,
    ServiceActor(actor): ServiceActor,
    action: Action<String>,
) -> Result<Response, Problem> {
    pause_or_resume(&api, &context, &actor, action, true).await
}

/// Resumes a paused queue at once.
#[utoipa::path(
    post, path = "/internal/queues/{name}/resume", tag = "Operation",
    params(("name" = String, Path, description = "The queue")),
    responses((status = 200, description = "The queue, resumed", body = Queue))
)]
pub(crate) async fn resume_queue(
    State(api): State<Api>,
    context: RequestContext,
    ServiceActor(actor): ServiceActor,
    action: Action<String>,
) -> Result<Response, Problem> {
    pause_or_resume(&api, &context, &actor, action, false).await
}

/// Changes a queue's limits: of all tenants together, and of each one that has none of its own.
///
/// All workers apply it from their next claim on; running jobs continue.
#[utoipa::path(
    put, path = "/internal/queues/{name}/limits", tag = "Operation",
    params(("name" = String, Path, description = "The queue")), request_body = LimitsOfQueueBody,
    responses((status = 200, description = "The queue as it is now", body = Queue))
)]
pub(crate) async fn set_queue_limits(
    State(api): State<Api>,
    context: RequestContext,
    ServiceActor(actor): ServiceActor,
    Path(name): Path<String>,
    Query(()): Query<()>,
    Body(change): Body<LimitsOfQueueBody>,
) -> Result<Json<Queue>, Problem> {
    let mut tx = api.pool.begin().await?;
    require(&api, &mut tx, &name).await?;
    let change = change.check()?;
    limits::set_queue(&mut tx, &actor, &name, change).await?;
    tx.commit().await?;
    show(&api, &context, name).await
}

async fn pause_or_resume(
    api: &Api,
    context: &RequestContext,
    actor: &Actor,
    action: Action<String>,
    paused: bool,
) -> Result<Response, Problem> {
    let name = &action.target;
    let mut tx = api.pool.begin().await?;
    require(api, &mut tx, name).await?;
    let first = action.is_first(&mut tx).await?;
    if first {
        set_paused(&mut tx, actor, Pausable::Queue(name), paused).await?;
    }
    tx.commit().await?;
    Ok(answered(first, show(api, context, name.clone()).await?))
}

async fn require(api: &Api, conn: &mut PgConnection, name: &str) -> Result<(), Problem> {
    let known = queues::known(conn, &api.catalog, None).await?;
    if known.contains(name) {
        return Ok(());
    }
    let detail = format!("{name:?}: {}", queues::unknown(&known));
    Err(Problem::not_found("unknown_queue", "Unknown queue", detail))
}

async fn show(api: &Api, context: &RequestContext, name: String) -> Result<Json<Queue>, Problem> {
    Ok(Json(Queue::new(QueueFacts::of(api, name).await?, context)))
}

impl Queue {
    fn new(facts: QueueFacts, context: &RequestContext) -> Self {
        let states = |is_final: bool| {
            let states = JobState::ALL.into_iter().filter(move |state| state.is_final() == is_final);
            states.map(|state| (state.as_str(), facts.count(state))).collect()
        };
        let url = context.url(&format!("/internal/queues/{}", facts.name));
        Self {
            paused: facts.settings.paused,
            limits: LimitsOfQueue::new(facts.settings.queue, facts.settings.default),
            depth: states(false),
            finished: states(true),
            running: facts.count(JobState::Running),
            oldest_available_at: facts.oldest,
            oldest_age_s: facts.oldest.map(|at| (facts.now - at).as_seconds_f64().max(0.0)),
            lanes_with_backlog: facts.lanes_with_backlog,
            throttled_lanes: facts.throttled_lanes,
            throttled_until: facts.throttled_until,
            workers: facts.workers.count,
            slots: facts.workers.capacity,
            throughput: Throughput {
                window_s: WINDOW_S,
                started_per_s: facts.traffic.started,
                finished_per_s: facts.traffic.finished,
            },
            observed_at: facts.now,
            links: QueueLinks {
                pause: format!("{url}/pause"),
                resume: format!("{url}/resume"),
                limits: format!("{url}/limits"),
                jobs: context.url(&format!("/internal/jobs?queue={}", facts.name)),
                this: url,
            },
            name: facts.name,
        }
    }
}
