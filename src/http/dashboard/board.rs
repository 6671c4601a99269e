//! `/board`: apalis-board, the UI of apalis' own makers, on our queues. It only reads, and whoever
//! may sign in may look.

use std::convert::Infallible;
use std::sync::{Arc, LazyLock};

use apalis_board_api::ui::ServeUI;
use apalis_board_api::{
    RawTask, fetch_queues, get_all_tasks, get_all_workers, get_task_by_id, get_tasks, get_workers, overview,
    stats_by_queue,
};
use askama::Template;
use axum::extract::{FromRequestParts, Path, RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::StreamExt;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::RwLock;
use weirgate_queue::read::board::{BoardBackend, Filter, Status};
use weirgate_web::dashboard::frame::page;
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::sent::filled;
use weirgate_web::params::Fields;
use weirgate_web::problem::Problem;

use crate::http::Api;
use crate::queues;

/// The dashboard's, and a compiled program; no inline script or style either.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

const STARTER: &str = include_str!("../../../dashboards/board.js");

/// Its pages, its files, and what these ask for.
pub(crate) fn router() -> Router<Api> {
    let asked = Router::new()
        .route("/queues", get(list_queues))
        .route("/tasks", get(list_all_tasks))
        .route("/workers", get(list_all_workers))
        .route("/overview", get(show_overview))
        .route("/events", get(follow_events))
        .route("/queues/{queue}/tasks", get(list_tasks))
        .route("/queues/{queue}/tasks/{task}", get(show_task))
        .route("/queues/{queue}/stats", get(show_stats))
        .route("/queues/{queue}/workers", get(list_workers))
        .fallback(async || StatusCode::NOT_FOUND);
    Router::new()
        .nest("/api/v1", asked)
        .route("/board.js", get(async || file("text/javascript; charset=utf-8", "no-cache", STARTER)))
        .route("/files/{name}", get(show_file))
        .fallback(show_page)
        .layer(map_response(secure))
}

async fn secure(mut response: Response) -> Response {
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

/// What the UI is told when nobody is signed in.
struct Onlooker;

impl FromRequestParts<Api> for Onlooker {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Response> {
        match api.dashboard.session(&parts.headers).await {
            Ok(Some(_)) => Ok(Self),
            Ok(None) => Err(Problem::unauthorized("Cookie", "sign in at /dashboard/sign-in").into_response()),
            Err(problem) => Err(problem.into_response()),
        }
    }
}

/// The UI's files, under the names that its own page has for them: they change with what is in
/// them.
struct Files {
    style: String,
    script: String,
    program: String,
}

static FILES: LazyLock<Files> = LazyLock::new(|| {
    let html = ServeUI::get_file("index.html").and_then(|file| file.contents_utf8()).unwrap_or_default();
    let name = |end: &str| {
        let names = html.split(['"', '\'']).filter_map(|part| part.strip_prefix('/'));
        names.filter(|name| name.ends_with(end)).map(str::to_owned).next().unwrap_or_default()
    };
    Files { style: name(".css"), script: name(".js"), program: name(".wasm") }
});

#[derive(Template)]
#[template(path = "board.html")]
struct BoardPage {
    files: &'static Files,
}

/// The same for each of its pages, which it tells apart by itself.
async fn show_page(State(api): State<Api>, parts: Parts) -> Result<Response, Response> {
    let session =
        api.dashboard.session(&parts.headers).await.map_err(|error| Refusal::from(error).into_response())?;
    if session.is_some() {
        return Ok(page(&BoardPage { files: &FILES }));
    }
    let at = format!("/board{}", parts.uri.path().trim_end_matches('/'));
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", &at).finish();
    Ok(Redirect::to(&format!("/dashboard/sign-in?{query}")).into_response())
}

async fn show_file(_: Onlooker, Path(name): Path<String>) -> Response {
    let known = [&FILES.style, &FILES.script, &FILES.program].into_iter().find(|known| **known == name);
    match known.and_then(|name| ServeUI::get_file(name)) {
        Some(found) => {
            let kind = ServeUI::content_type(&name);
            file(kind, "private, max-age=31536000, immutable", found.contents())
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn file(kind: &'static str, cache: &'static str, content: impl IntoResponse) -> Response {
    let headers =
        [(CONTENT_TYPE, HeaderValue::from_static(kind)), (CACHE_CONTROL, HeaderValue::from_static(cache))];
    (headers, content).into_response()
}

type Shared = Arc<RwLock<BoardBackend>>;

async fn all(api: &Api) -> Result<BoardBackend, Problem> {
    let queues = queues::known(&mut *api.pool.acquire().await?, &api.catalog, None).await?;
    Ok(BoardBackend::new(api.pool.clone(), api.web.queue_views.clone(), queues))
}

async fn shared(api: &Api) -> Result<Shared, Problem> {
    Ok(Arc::new(RwLock::new(all(api).await?)))
}

async fn shared_of(api: &Api, queue: String) -> Result<Shared, Problem> {
    let unknown = || Problem::not_found("unknown_queue", "Unknown queue", "there is no such queue");
    Ok(Arc::new(RwLock::new(all(api).await?.with_current(queue).ok_or_else(unknown)?)))
}

/// In the form that apalis-board has for answers.
fn answer<T: Serialize, E: std::fmt::Display>(answered: Result<T, E>) -> Result<Response, Problem> {
    answered.map(|answer| Json(answer).into_response()).map_err(|error| {
        tracing::warn!(%error, "the board could not be answered");
        Problem::database_unavailable()
    })
}

/// Which jobs: apalis' names, of which the UI leaves some empty and which has others for sorting
/// that apalis does not know.
fn filter(query: Option<&str>) -> Result<Filter, Problem> {
    let mut pairs = filled(query.unwrap_or_default().as_bytes());
    pairs.retain(|(name, _)| ["status", "page", "page_size"].contains(&name.as_str()));
    let mut fields = Fields::of_pairs(pairs);
    let status = fields.all("status").first().and_then(|text| {
        let parsed = text.parse::<Status>();
        if parsed.is_err() {
            fields.fail("status", "expected Pending, Queued, Running, Done, Failed or Killed");
        }
        parsed.ok()
    });
    let page = fields.in_range("page", 1..=1_000_000);
    let page_size = fields.in_range("page_size", 1..=100);
    let narrow = |number: i64| u32::try_from(number).ok();
    fields.finish(Some(Filter {
        status,
        page: page.and_then(narrow).unwrap_or(1),
        page_size: page_size.and_then(narrow),
    }))
}

async fn list_queues(State(api): State<Api>, _: Onlooker) -> Result<Response, Problem> {
    answer(fetch_queues(shared(&api).await?).await)
}

async fn list_all_workers(State(api): State<Api>, _: Onlooker) -> Result<Response, Problem> {
    answer(get_all_workers(shared(&api).await?).await)
}

async fn show_overview(State(api): State<Api>, _: Onlooker) -> Result<Response, Problem> {
    answer(overview(shared(&api).await?).await)
}

async fn list_all_tasks(
    State(api): State<Api>,
    _: Onlooker,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let mut tasks = get_all_tasks(shared(&api).await?, filter(query.as_deref())?).await;
    for task in tasks.iter_mut().flatten() {
        name_tenant(&api, &mut task.args).await?;
    }
    answer(tasks.map(|tasks| tasks.into_iter().map(RawTask).collect::<Vec<_>>()))
}

async fn list_tasks(
    State(api): State<Api>,
    _: Onlooker,
    Path(queue): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let mut tasks = get_tasks::<_, Value>(shared_of(&api, queue).await?, filter(query.as_deref())?).await;
    for task in tasks.iter_mut().flatten() {
        name_tenant(&api, &mut task.args).await?;
    }
    answer(tasks.map(|tasks| tasks.into_iter().map(RawTask).collect::<Vec<_>>()))
}

async fn show_task(
    State(api): State<Api>,
    _: Onlooker,
    Path((queue, task)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let mut found = get_task_by_id::<_, Value>(task.clone(), shared_of(&api, queue).await?).await;
    if let Ok(None) = found {
        return Err(Problem::unknown_job(&task));
    }
    if let Ok(Some(task)) = &mut found {
        name_tenant(&api, &mut task.args).await?;
    }
    answer(found.map(|task| task.map(RawTask)))
}

/// Puts the slug into arguments, which name the tenant by its id.
async fn name_tenant(api: &Api, args: &mut Value) -> Result<(), Problem> {
    if let Some(Value::String(tenant)) = args.get_mut("tenant")
        && let Ok(id) = tenant.parse()
    {
        *tenant = api.web.slugs.of(id).await?.to_string();
    }
    Ok(())
}

async fn show_stats(
    State(api): State<Api>,
    _: Onlooker,
    Path(queue): Path<String>,
) -> Result<Response, Problem> {
    answer(stats_by_queue(shared_of(&api, queue).await?).await)
}

async fn list_workers(
    State(api): State<Api>,
    _: Onlooker,
    Path(queue): Path<String>,
) -> Result<Response, Problem> {
    answer(get_workers(shared_of(&api, queue).await?).await)
}

/// Log lines of the process, for a program that is its own worker. Ours run elsewhere and have
/// their logs there: none come.
async fn follow_events(State(api): State<Api>, _: Onlooker) -> Response {
    let none = futures_util::stream::pending::<Result<Event, Infallible>>();
    let closing = api.web.closing.clone();
    let until_closed = none.take_until(async move { closing.cancelled().await });
    Sse::new(until_closed).keep_alive(KeepAlive::default()).into_response()
}
