//! The overview: how the queues go, and what needs somebody, in words.

use std::sync::Arc;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use az::SaturatingAs;
use chrono::TimeDelta;
use uuid::Uuid;
use weirgate_queue::backfill::{self, Backfill, BackfillState};
use weirgate_queue::{JobState, read};
use weirgate_web::dashboard::additions::Figure;
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::notice::Notice;
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::views::View;
use weirgate_web::dashboard::when::{When, span};
use weirgate_web::dashboard::words::of;
use weirgate_web::domain::Catalog;
use weirgate_web::params::Fields;

use super::attention;
use super::charts::{self, Over};
use super::overview_tenants::{Tenants, Tops};
use crate::http::Api;
use crate::http::queue_facts::QueueFacts;

/// A queue whose next job has waited for so long while workers live needs somebody.
const WAITS_LONG: TimeDelta = TimeDelta::minutes(5);

/// Most backfills that it shows, the oldest.
const BACKFILLS: i64 = 10;

/// A queue in the table.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) paused: bool,
    pub(super) available: i64,
    pub(super) running: i64,
    pub(super) scheduled: i64,
    pub(super) waiting: i64,
    pub(super) retryable: i64,
    pub(super) discarded: i64,
    pub(super) oldest: String,
    pub(super) started: String,
    pub(super) finished: String,
    pub(super) lanes: usize,
    pub(super) throttled: usize,
    pub(super) workers: i64,
    pub(super) slots: i64,
}

impl Row {
    fn new(facts: &QueueFacts) -> Self {
        let rate = |per_second: f64| format!("{per_second:.1}");
        Self {
            name: facts.name.clone(),
            paused: facts.settings.paused,
            available: facts.count(JobState::Available),
            running: facts.count(JobState::Running),
            scheduled: facts.count(JobState::Scheduled),
            waiting: facts.count(JobState::Waiting),
            retryable: facts.count(JobState::Retryable),
            discarded: facts.count(JobState::Discarded),
            oldest: facts.oldest.map_or_else(|| "–".to_owned(), |at| span(facts.now - at)),
            started: rate(facts.traffic.started),
            finished: rate(facts.traffic.finished),
            lanes: facts.lanes_with_backlog,
            throttled: facts.throttled_lanes,
            workers: facts.workers.count,
            slots: facts.workers.capacity,
        }
    }
}

/// A backfill that is not over.
pub(super) struct Underway {
    id: Uuid,
    kind: String,
    paused: bool,
    done: u64,
    total: u64,
    ends: Option<When>,
}

impl Underway {
    fn new(backfill: &Backfill, catalog: &Catalog) -> Self {
        Self {
            id: backfill.id,
            paused: backfill.state == BackfillState::Paused,
            done: backfill.done,
            total: backfill.total,
            ends: backfill.estimated_finish.map(|at| When::new(at, backfill.observed_at)),
            kind: catalog.name_of(&backfill.kind).to_owned(),
        }
    }
}

/// What changes on the overview: the same for whoever looks.
#[derive(Template)]
#[template(path = "overview_live.html")]
pub(super) struct OverviewLive {
    pub(super) notices: Vec<Notice>,
    /// Those of the domains, made already.
    of_domains: String,
    figures: Vec<Figure>,
    tenants: Tenants,
    pub(super) rows: Vec<Row>,
    pub(super) running: i64,
    pub(super) slots: i64,
    pub(super) available: i64,
    pub(super) finished: String,
    workers: usize,
    backfills: Vec<Underway>,
    tops: Tops,
}

impl OverviewLive {
    pub(super) async fn take(api: &Api) -> Result<Self, Refusal> {
        let queues = QueueFacts::all(api).await?;
        let mut conn = api.pool.acquire().await?;
        let workers = read::live_workers(&mut conn).await?;
        let backfills = backfill::unfinished(&mut conn, BACKFILLS).await?;
        let of_tenants = attention::notices(&mut conn, api.catalog.schedules()).await?;
        let tenants = Tenants::count(&mut conn).await?;
        let mut figures = Vec::new();
        for additions in api.catalog.additions() {
            figures.extend(additions.figures(&mut conn).await?);
        }
        drop(conn);
        let mut of_domains = String::new();
        for additions in api.catalog.additions() {
            of_domains += &additions.notices(&api.pool, &api.dashboard.shared).await?;
        }
        let rows: Vec<Row> = queues.iter().map(Row::new).collect();
        let finished: f64 = queues.iter().map(|queue| queue.traffic.finished).sum();
        Ok(Self {
            workers,
            backfills: backfills.iter().map(|backfill| Underway::new(backfill, &api.catalog)).collect(),
            tops: Tops::of(api, &queues).await?,
            notices: queues.iter().flat_map(notices).chain(of_tenants).collect(),
            of_domains,
            figures,
            tenants,
            running: rows.iter().map(|row| row.running).sum(),
            slots: rows.iter().map(|row| row.slots).sum(),
            available: rows.iter().map(|row| row.available).sum(),
            finished: format!("{finished:.1}"),
            rows,
        })
    }
}

fn notices(queue: &QueueFacts) -> Vec<Notice> {
    let name = &queue.name;
    let mut notices = Vec::new();
    let mut say = |text: String, link: String| notices.push(Notice { text, link });
    let waiting = queue.count(JobState::Available);
    if queue.settings.paused {
        say(
            format!("Queue {name} is paused; {}.", of(waiting, "job is available", "jobs are available")),
            format!("/dashboard/queues/{name}"),
        );
    } else if waiting > 0 && queue.workers.count == 0 {
        say(
            format!(
                "No live worker serves queue {name}; {}.",
                of(waiting, "job is available", "jobs are available")
            ),
            "/dashboard/workers".to_owned(),
        );
    } else if let Some(age) = queue.oldest.map(|at| queue.now - at).filter(|age| *age > WAITS_LONG) {
        say(
            format!("The oldest available job in queue {name} has waited {}.", span(age)),
            format!("/dashboard/jobs?queue={name}&state=available"),
        );
    }
    if queue.throttled_lanes > 0 {
        let throttled = queue.throttled_lanes.saturating_as::<i64>();
        let who = of(throttled, "tenant is", "tenants are");
        let text = format!("{who} throttled in queue {name}.");
        say(text, format!("/dashboard/jobs?queue={name}&state=available"));
    }
    let discarded = queue.count(JobState::Discarded);
    if discarded > 0 {
        let jobs = of(discarded, "discarded job", "discarded jobs");
        let text = format!("Queue {name} has {jobs}.");
        say(text, format!("/dashboard/jobs?queue={name}&state=discarded"));
    }
    notices
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    live: OverviewLive,
    over: &'static str,
    charts: Arc<str>,
}

pub(super) async fn show(
    State(api): State<Api>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let mut fields = Fields::of(query.as_deref());
    let over = Over::take(&mut fields);
    let over = fields.finish(Some(over)).map_err(|problem| Refusal::from(problem).for_session(&session))?;
    let live = OverviewLive::take(&api).await?;
    let charts = charts::render(&api, over).await?;
    Ok(page(&OverviewPage { frame: Frame::new(&session, ""), live, over: over.name(), charts }))
}

/// The overview, to be watched.
#[derive(Clone)]
struct Live;

impl View<Api> for Live {
    fn name(&self) -> String {
        "overview".to_owned()
    }

    async fn render(&self, api: &Api) -> Result<String, Refusal> {
        Ok(OverviewLive::take(api).await?.to_string())
    }
}

/// Its changes from now on.
pub(super) async fn stream(State(api): State<Api>, _: Session) -> Response {
    api.dashboard.views.stream(&api, Live)
}
