//! Jobs by filter.

use std::time::Duration;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::{Html, IntoResponse, Response};
use weirgate_identity::platform::Role;
use weirgate_queue::JobState;
use weirgate_queue::read::JobFilter;
use weirgate_queue::read::counts::is_counted_by_views;
use weirgate_queue::telemetry::failures;
use weirgate_web::context::RequestContext;
use weirgate_web::dashboard::columns;
use weirgate_web::dashboard::form::Wrong;
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::sent::filled;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::suggest::Suggestions;
use weirgate_web::follow::Viewer;
use weirgate_web::params::Fields;
use weirgate_web::problem::Problem;

use super::jobs_asked::{Asked, Form};
use super::jobs_row::Row;
use super::jobs_tabs::Tabs;
use crate::http::Api;
use crate::queues;

const ON_A_PAGE: i64 = 50;
/// So old may rows be; who looks at the same jobs meanwhile gets the same.
const FRESH: Duration = Duration::from_millis(900);
/// So old may the counts of states be.
const FRESH_COUNTS: Duration = Duration::from_millis(2500);

/// A box of the filter.
struct StateBox {
    name: &'static str,
    checked: bool,
}

#[derive(Template)]
#[template(path = "jobs.html")]
struct JobsPage {
    frame: Frame,
    asked: Asked,
    form: Form,
    suggestions: Suggestions,
    states: Vec<StateBox>,
    /// This page with every row ticked: as a query.
    all_of_page: String,
    /// None where the filter is wrong.
    found: Option<Found>,
}

impl JobsPage {
    /// Whether the fields that are not asked for often are to be seen.
    fn is_open(&self) -> bool {
        self.form.is_open() || self.states.iter().filter(|state| state.checked).count() > 1
    }
}

/// What a filter takes.
struct Found {
    tabs: Tabs,
    /// The queue views count it, so that the counts are renewed while it is looked at.
    is_kept: bool,
    table: String,
    empty: bool,
    older: Option<String>,
    filtered: bool,
    /// Kind, code and pattern of the failure that is asked for.
    failure: Option<(String, String, String)>,
}

#[derive(Template)]
#[template(path = "job_table.html")]
struct Table {
    rows: Vec<Row>,
    may_act: bool,
    /// The filter under which the newest jobs are looked for again and again; none on other pages
    /// than the first.
    renewed: Option<String>,
    /// Every row is selected.
    ticked: bool,
}

/// What a query says beside the filter.
struct Place {
    before: Option<i64>,
    ticked: bool,
}

impl Place {
    fn of(pairs: &[(String, String)]) -> Result<Self, Problem> {
        let beside = pairs.iter().filter(|(name, _)| name == "before" || name == "select").cloned();
        let mut fields = Fields::of_pairs(beside.collect());
        let before = fields.in_range("before", 1..=i64::MAX);
        let ticked = fields.one("select").is_some();
        fields.finish(Some(Self { before, ticked }))
    }
}

async fn load_table(
    viewer: &Viewer,
    asked: &Asked,
    filter: &JobFilter,
    place: &Place,
    may_act: bool,
) -> Result<(Table, Option<i64>), Problem> {
    let listed = viewer.list(filter, place.before, ON_A_PAGE).await?;
    let rows = viewer.resources(listed.rows).await?.into_iter().map(Row::new).collect();
    let renewed = place.before.is_none().then(|| asked.query());
    Ok((Table { rows, may_act, renewed, ticked: place.ticked }, listed.next))
}

impl Found {
    async fn load(
        api: &Api,
        viewer: &Viewer,
        asked: &Asked,
        filter: &JobFilter,
        place: &Place,
        may_act: bool,
    ) -> Result<Self, Refusal> {
        let (table, next) = load_table(viewer, asked, filter, place, may_act).await?;
        let failure = match filter.failure {
            Some(id) => failures::get(&mut *api.pool.acquire().await?, id).await?,
            None => None,
        };
        Ok(Self {
            tabs: Tabs::of(api, asked, filter).await?,
            is_kept: is_counted_by_views(filter),
            empty: table.rows.is_empty(),
            table: table.render()?,
            older: next.map(|before| asked.query_with(&[("before", &before.to_string())])),
            filtered: *filter != JobFilter::default(),
            failure,
        })
    }
}

pub(super) async fn list(
    State(api): State<Api>,
    session: Session,
    context: RequestContext,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let refuse = |refusal: Refusal| refusal.for_session(&session);
    let pairs = filled(query.unwrap_or_default().as_bytes());
    let place = Place::of(&pairs).map_err(|problem| refuse(problem.into()))?;
    let asked = Asked::new(pairs);
    let frame = Frame::new(&session, "/jobs");
    let (filter, wrong) = match asked.filter(&api).await {
        Ok(filter) => (Some(filter), None),
        Err(problem) => (None, Some(Wrong::of(problem, "tenant_id").map_err(refuse)?)),
    };
    let found = match &filter {
        Some(filter) => {
            let viewer = Viewer::service(&api.web, &context);
            let found = Found::load(&api, &viewer, &asked, filter, &place, frame.may_act).await;
            Some(found.map_err(refuse)?)
        }
        None => None,
    };
    // As they were given, also where another field is wrong.
    let checked = |state: JobState| {
        let given = asked.pairs.iter().filter(|(name, _)| name == "state");
        given.flat_map(|(_, value)| value.split(',')).any(|name| name.trim() == state.as_str())
    };
    let before = place.before.map(|before| before.to_string());
    let mut beside: Vec<(&str, &str)> = before.iter().map(|before| ("before", before.as_str())).collect();
    beside.push(("select", "page"));
    let shown = JobsPage {
        form: asked.form(wrong.as_ref()),
        suggestions: suggestions(&api).await?,
        states: JobState::ALL.map(|state| StateBox { name: state.as_str(), checked: checked(state) }).into(),
        all_of_page: asked.query_with(&beside),
        frame,
        asked,
        found,
    };
    Ok(wrong.map_or_else(|| page(&shown), |wrong| wrong.page(&shown)))
}

async fn suggestions(api: &Api) -> Result<Suggestions, Problem> {
    let mut conn = api.pool.acquire().await?;
    let kinds = api.catalog.kinds().iter().copied().collect();
    let queues = queues::known(&mut conn, &api.catalog, None).await?;
    Suggestions::of_jobs(&mut conn, kinds, queues.into_iter().collect()).await
}

/// The newest jobs alone, for a list that is open; the same for all who look at the same jobs.
pub(super) async fn rows(
    State(api): State<Api>,
    session: Session,
    context: RequestContext,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let asked = Asked::new(filled(query.unwrap_or_default().as_bytes()));
    let may_act = session.user.role >= Role::Operator;
    let name = format!("jobs {may_act} {}", asked.query());
    let rows = api.dashboard.shared.get(&name, FRESH, async || {
        let filter = asked.filter(&api).await?;
        let newest = Place { before: None, ticked: false };
        let viewer = Viewer::service(&api.web, &context);
        let (table, _) = load_table(&viewer, &asked, &filter, &newest, may_act).await?;
        Ok(columns::named(&table.render()?))
    });
    Ok(Html(rows.await.map_err(|refusal| refusal.for_session(&session))?.to_string()).into_response())
}

/// The tabs alone, likewise.
pub(super) async fn tabs(
    State(api): State<Api>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let asked = Asked::new(filled(query.unwrap_or_default().as_bytes()));
    let name = format!("tabs {}", asked.query());
    let tabs = api.dashboard.shared.get(&name, FRESH_COUNTS, async || {
        let filter = asked.filter(&api).await?;
        Ok(Tabs::of(&api, &asked, &filter).await?.render()?)
    });
    Ok(Html(tabs.await.map_err(|refusal| refusal.for_session(&session))?.to_string()).into_response())
}
