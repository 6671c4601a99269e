//! `/internal/queues`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use weirgate_queue::JobState;
use weirgate_queue::lanes::change::change_queue;
use weirgate_queue::lanes::limits::pause_queue as set_paused;
use weirgate_queue::lanes::traffic::{self, Traffic, WINDOW_S, Workers};

use crate::http::Api;
use crate::http::context::RequestContext;
use crate::http::extract::{Body, Only, Path};
use crate::http::limits::{LimitsOfQueue, LimitsOfQueueBody};
use crate::http::page::Page;
use crate::http::params::Query;
use crate::http::problem::Problem;
use crate::queues;

/// A queue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Queue {
    #[schema(example = "ingest")]
    name: String,
    /// Whether nothing of it starts.
    paused: bool,
    limits: LimitsOfQueue,
    /// Jobs that are not final, by state.
    #[schema(example = json!({"waiting": 0, "scheduled": 1, "available": 3, "running": 2, "retryable": 0}))]
    depth: BTreeMap<&'static str, i64>,
    /// Final jobs that are still kept, by state.
    #[schema(example = json!({"completed": 120, "cancelled": 0, "discarded": 1}))]
    finished: BTreeMap<&'static str, i64>,
    /// Jobs that run.
    running: i64,
    /// Since when the longest-waiting job could have started, of those that are next for their tenants; of at most
    /// 1,000 tenants.
    #[schema(required = true)]
    oldest_available_at: Option<DateTime<Utc>>,
    /// How long that is, in seconds.
    #[schema(required = true)]
    oldest_age_s: Option<f64>,
    /// Tenants with jobs that may start.
    lanes_with_backlog: usize,
    /// Of these, tenants whose rate is used up.
    throttled_lanes: usize,
    /// Until when the rate of the whole queue is used up.
    #[schema(required = true)]
    throttled_until: Option<DateTime<Utc>>,
    /// Live worker processes that take from it.
    workers: i64,
    /// Jobs that these can run at once.
    slots: i64,
    throughput: Throughput,
    /// The database's time of this look.
    observed_at: DateTime<Utc>,
    links: QueueLinks,
}

/// Jobs a second, lately.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Throughput {
    /// Seconds over which it is measured.
    window_s: u32,
    /// Attempts that started.
    started_per_s: f64,
    /// Jobs that ended: completed, cancelled or discarded.
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

/// Lists the queues by name, on one page: every one that this version has jobs for, that a live worker takes from, or
/// that has settings.
#[utoipa::path(
    get, path = "/internal/queues", tag = "Operation",
    responses((status = 200, description = "All queues", body = Page<Queue>))
)]
pub(crate) async fn list_queues(
    State(api): State<Api>,
    context: RequestContext,
    Query(()): Query<()>,
) -> Result<Page<Queue>, Problem> {
    let mut conn = api.pool.acquire().await?;
    let names = queues::known(&mut conn, None).await?;
    let workers = traffic::workers(&mut conn).await?;
    drop(conn);
    let mut items = Vec::with_capacity(names.len());
    for name in names {
        let workers = workers.get(&name).copied().unwrap_or_default();
        items.push(look(&api, &context, name, workers).await?);
    }
    Ok(Page::whole(items))
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
    require(&mut *api.pool.acquire().await?, &name).await?;
    show(&api, &context, name).await
}

/// Pauses a queue: nothing of it starts until it is resumed. What runs goes on running.
#[utoipa::path(
    post, path = "/internal/queues/{name}/pause", tag = "Operation",
    params(("name" = String, Path, description = "The queue")),
    responses((status = 200, description = "The queue, paused", body = Queue))
)]
pub(crate) async fn pause_queue(
    State(api): State<Api>,
    context: RequestContext,
    Only(name): Only<String>,
) -> Result<Json<Queue>, Problem> {
    pause(&api, &context, name, true).await
}

/// Lets a paused queue go on, at once.
#[utoipa::path(
    post, path = "/internal/queues/{name}/resume", tag = "Operation",
    params(("name" = String, Path, description = "The queue")),
    responses((status = 200, description = "The queue, going on", body = Queue))
)]
pub(crate) async fn resume_queue(
    State(api): State<Api>,
    context: RequestContext,
    Only(name): Only<String>,
) -> Result<Json<Queue>, Problem> {
    pause(&api, &context, name, false).await
}

/// Changes a queue's limits: of all tenants together, and of each one that has none of its own.
///
/// All workers keep to it from their next claim on; what runs goes on running.
#[utoipa::path(
    put, path = "/internal/queues/{name}/limits", tag = "Operation",
    params(("name" = String, Path, description = "The queue")), request_body = LimitsOfQueueBody,
    responses((status = 200, description = "The queue as it is now", body = Queue))
)]
pub(crate) async fn set_queue_limits(
    State(api): State<Api>,
    context: RequestContext,
    Path(name): Path<String>,
    Query(()): Query<()>,
    Body(change): Body<LimitsOfQueueBody>,
) -> Result<Json<Queue>, Problem> {
    let mut tx = api.pool.begin().await?;
    require(&mut tx, &name).await?;
    change_queue(&mut tx, &name, change.check()?).await?;
    tx.commit().await?;
    show(&api, &context, name).await
}

async fn pause(
    api: &Api,
    context: &RequestContext,
    name: String,
    paused: bool,
) -> Result<Json<Queue>, Problem> {
    let mut tx = api.pool.begin().await?;
    require(&mut tx, &name).await?;
    set_paused(&mut tx, &name, paused).await?;
    tx.commit().await?;
    show(api, context, name).await
}

async fn require(conn: &mut PgConnection, name: &str) -> Result<(), Problem> {
    let known = queues::known(conn, None).await?;
    if known.contains(name) {
        return Ok(());
    }
    let detail = format!("{name:?}: {}", queues::unknown(&known));
    Err(Problem::not_found("unknown_queue", "Unknown queue", detail))
}

async fn show(api: &Api, context: &RequestContext, name: String) -> Result<Json<Queue>, Problem> {
    let workers = traffic::workers(&mut *api.pool.acquire().await?).await?.remove(&name);
    look(api, context, name, workers.unwrap_or_default()).await.map(Json)
}

async fn look(api: &Api, context: &RequestContext, name: String, workers: Workers) -> Result<Queue, Problem> {
    let oldest = api.books.oldest(&name).await?;
    let (facts, settings, now) =
        api.books.read(&name, |book| (book.facts(), book.settings().clone(), book.now())).await?;
    let Traffic { started, finished } = traffic::traffic(&mut *api.pool.acquire().await?, &name).await?;
    let states = |is_final: bool| {
        let states = JobState::ALL.into_iter().filter(move |state| state.is_final() == is_final);
        states.map(|state| (state.as_str(), facts.counts.get(&state).copied().unwrap_or(0))).collect()
    };
    let url = context.url(&format!("/internal/queues/{name}"));
    Ok(Queue {
        paused: settings.paused,
        limits: LimitsOfQueue::new(settings.queue, settings.default),
        depth: states(false),
        finished: states(true),
        running: facts.counts.get(&JobState::Running).copied().unwrap_or(0),
        oldest_available_at: oldest,
        oldest_age_s: oldest.map(|at| (now - at).as_seconds_f64().max(0.0)),
        lanes_with_backlog: facts.lanes_with_backlog,
        throttled_lanes: facts.throttled_lanes,
        throttled_until: facts.throttled_until,
        workers: workers.count,
        slots: workers.slots,
        throughput: Throughput { window_s: WINDOW_S, started_per_s: started, finished_per_s: finished },
        observed_at: now,
        links: QueueLinks {
            pause: format!("{url}/pause"),
            resume: format!("{url}/resume"),
            limits: format!("{url}/limits"),
            jobs: context.url(&format!("/internal/jobs?queue={name}")),
            this: url,
        },
        name,
    })
}
