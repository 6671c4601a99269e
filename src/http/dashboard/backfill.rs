//! One backfill: how far it is, how fast, what became of each day, and what can be done about it.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_identity::audit::{Change, Subject};
use weirgate_identity::platform::Role;
use weirgate_queue::JobState;
use weirgate_queue::backfill::{self, Backfill, BackfillState};
use weirgate_web::backfill::{BackfillOrder, Reprocess};
use weirgate_web::dashboard::confirm::Confirm;
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::{Path, Refusal};
use weirgate_web::dashboard::sent::{Form, filled};
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::views::View;
use weirgate_web::dashboard::when::When;
use weirgate_web::params::Fields;
use weirgate_web::problem::Problem;

use super::heat::{Heat, Mark, Shown};
use crate::http::Api;
use crate::http::backfill::{AskedFor, TenantNames};
use crate::pauses::{Pausable, set_paused};

/// What was asked for, in words.
pub(super) struct Asked {
    pub(super) tenants: String,
    pub(super) days: String,
    pub(super) order: &'static str,
    pub(super) reprocess: &'static str,
    pub(super) future_days: u64,
}

impl Asked {
    pub(super) fn of(backfill: &Backfill) -> Result<Self, Problem> {
        let asked = AskedFor::deserialize(&backfill.spec)?;
        Ok(Self {
            tenants: tenants_in_words(&asked.tenants),
            days: format!("{} to {}", asked.from, asked.to),
            order: match asked.order {
                BackfillOrder::NewestFirst => "newest day first",
                BackfillOrder::OldestFirst => "oldest day first",
            },
            reprocess: policy_in_words(asked.reprocess),
            future_days: asked.future_days,
        })
    }
}

/// The first few names are enough.
pub(super) fn tenants_in_words(tenants: &TenantNames) -> String {
    match tenants {
        TenantNames::All(_) => "all active".to_owned(),
        TenantNames::Named(names) if names.len() <= 3 => names.join(", "),
        TenantNames::Named(names) => format!("{} and {} more", names[..2].join(", "), names.len() - 2),
    }
}

pub(super) fn policy_in_words(policy: Reprocess) -> &'static str {
    match policy {
        Reprocess::Missing => "missing: days without a result",
        Reprocess::Failed => "failed: failed days without a result",
        Reprocess::All => "all: every day",
    }
}

/// How fast it is, where that is known.
pub(super) fn rate(backfill: &Backfill) -> String {
    backfill.rate.map_or_else(|| "–".to_owned(), |rate| format!("{rate:.1}/s"))
}

/// Its jobs in a state.
struct Count {
    state: &'static str,
    jobs: i64,
}

/// What changes of a backfill: the same for whoever looks at the same part of it.
#[derive(Template)]
#[template(path = "backfill_live.html")]
pub(super) struct BackfillLive {
    id: Uuid,
    kind: String,
    state: BackfillState,
    done: u64,
    total: u64,
    percent: String,
    skipped: u64,
    jobs: u64,
    rate: String,
    finish: Option<When>,
    finished: Option<When>,
    counts: Vec<Count>,
    heat: Option<Heat>,
    marks: Vec<Mark>,
}

impl BackfillLive {
    pub(super) async fn take(api: &Api, id: Uuid, shown: &Shown) -> Result<Self, Problem> {
        let backfill = backfill::get(&mut *api.pool.acquire().await?, id).await?;
        let backfill = backfill.ok_or_else(|| Problem::unknown_backfill(id))?;
        Self::of(api, &backfill, shown).await
    }

    async fn of(api: &Api, backfill: &Backfill, shown: &Shown) -> Result<Self, Problem> {
        let when = |at| When::new(at, backfill.observed_at);
        let counts = backfill.counts.iter().map(|(state, jobs)| Count { state: state.as_str(), jobs });
        Ok(Self {
            id: backfill.id,
            kind: api.catalog.name_of(&backfill.kind).to_owned(),
            state: backfill.state,
            done: backfill.done,
            total: backfill.total,
            percent: format!("{:.1} %", backfill.fraction() * 100.0),
            skipped: backfill.skipped,
            jobs: backfill.jobs,
            rate: rate(backfill),
            finish: backfill.estimated_finish.map(when),
            finished: backfill.finished_at.map(when),
            counts: counts.collect(),
            heat: Heat::load(api, backfill.id, shown).await?,
            marks: Mark::all().collect(),
        })
    }
}

#[derive(Template)]
#[template(path = "backfill.html")]
struct BackfillPage {
    frame: Frame,
    live: BackfillLive,
    asked: Asked,
    share: String,
    most: String,
    priority: i16,
    created: When,
    /// Of the part that is shown.
    query: String,
    has_failed: bool,
}

fn shown(query: Option<&str>) -> Result<(Shown, String), Problem> {
    let pairs = filled(query.unwrap_or_default().as_bytes());
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
    let mut fields = Fields::of_pairs(pairs);
    let month: Option<String> = fields.get("month");
    let month = month.and_then(|text| {
        let day = weirgate_web::day::parse_day(&format!("{text}-01")).ok();
        if day.is_none() {
            fields.fail("month", "expected a month such as 2026-01");
        }
        day
    });
    let tenants = fields.in_range("tenants", 0..=1_000_000).unwrap_or(0).unsigned_abs();
    Ok((fields.finish(Some(Shown { month, tenants }))?, query))
}

pub(super) async fn show(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<Uuid>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let page = make(&api, &session, id, query.as_deref()).await;
    page.map_err(|problem| Refusal::from(problem).for_session(&session))
}

async fn make(api: &Api, session: &Session, id: Uuid, query: Option<&str>) -> Result<Response, Problem> {
    let (shown, query) = shown(query)?;
    let backfill = backfill::get(&mut *api.pool.acquire().await?, id).await?;
    let backfill = backfill.ok_or_else(|| Problem::unknown_backfill(id))?;
    let settings = backfill.settings;
    Ok(page(&BackfillPage {
        frame: Frame::new(session, "/backfills"),
        live: BackfillLive::of(api, &backfill, &shown).await?,
        asked: Asked::of(&backfill)?,
        share: format!("{:.0} %", settings.share * 100.0),
        most: settings.max_running.map_or_else(|| "no limit".to_owned(), |most| most.to_string()),
        priority: backfill.priority,
        created: When::new(backfill.created_at, backfill.observed_at),
        query,
        has_failed: backfill.counts.of(JobState::Discarded) > 0,
    }))
}

/// Part of the days of a backfill, to be watched.
#[derive(Clone)]
struct Live(Uuid, Shown);

impl View<Api> for Live {
    fn name(&self) -> String {
        let Self(id, Shown { month, tenants }) = self;
        format!("backfill {id} {month:?} {tenants}")
    }

    async fn render(&self, api: &Api) -> Result<String, Refusal> {
        let Self(id, shown) = self;
        Ok(BackfillLive::take(api, *id, shown).await?.to_string())
    }
}

/// Its changes from now on.
pub(super) async fn stream(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<Uuid>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let shown = shown(query.as_deref());
    let (shown, _) = shown.map_err(|problem| Refusal::from(problem).for_session(&session))?;
    Ok(api.dashboard.views.stream(&api, Live(id, shown)))
}

pub(super) async fn pause(state: State<Api>, id: Path<Uuid>, form: Form) -> Result<Response, Refusal> {
    pause_or_resume(state, id, form, true).await
}

pub(super) async fn resume(state: State<Api>, id: Path<Uuid>, form: Form) -> Result<Response, Refusal> {
    pause_or_resume(state, id, form, false).await
}

/// First says what will happen; once confirmed, does it.
async fn pause_or_resume(
    State(api): State<Api>,
    Path(id): Path<Uuid>,
    mut form: Form,
    paused: bool,
) -> Result<Response, Refusal> {
    form.require(Role::Operator)?;
    if !form.fields.get("confirmed").unwrap_or(false) {
        let effect = if paused {
            "Its running jobs continue. None of its other jobs starts, and no more are created, until it is resumed."
        } else {
            "Its available jobs may start at once, behind live jobs, and the rest is created bit by bit."
        };
        let frame = Frame::new(&form.session, "/backfills");
        let (what, path) = (format!("backfill {id}"), format!("/dashboard/backfills/{id}"));
        return Ok(Confirm::pause(frame, paused, &what, &path, vec![effect.to_owned()]).ask());
    }
    let mut tx = api.pool.begin().await?;
    let done = set_paused(&mut tx, &form.session.actor(), Pausable::Backfill(id), paused).await;
    done.map_err(|error| Refusal::from(error).for_session(&form.session))?;
    tx.commit().await?;
    Ok(Redirect::to(&format!("/dashboard/backfills/{id}")).into_response())
}

pub(super) async fn cancel(
    State(api): State<Api>,
    Path(id): Path<Uuid>,
    form: Form,
) -> Result<Response, Refusal> {
    let begun = act(State(api.clone()), Path(id), form, "backfill.cancel", backfill::request_cancel).await?;
    backfill::cancel(&api.pool, id).await?;
    Ok(begun)
}

pub(super) async fn retry_failed(state: State<Api>, id: Path<Uuid>, form: Form) -> Result<Response, Refusal> {
    act(state, id, form, "backfill.retry_failed", backfill::retry_failed).await
}

/// Does `verb` to a backfill, and back to its page.
async fn act<T>(
    State(api): State<Api>,
    Path(id): Path<Uuid>,
    form: Form,
    action: &str,
    verb: impl AsyncFnOnce(&mut PgConnection, Uuid) -> weirgate_queue::Result<T>,
) -> Result<Response, Refusal> {
    form.require(Role::Operator)?;
    let mut tx = api.pool.begin().await?;
    let change = Change::begin(&mut tx, Subject::Backfill(id)).await?;
    verb(&mut tx, id).await.map_err(|error| Refusal::from(error).for_session(&form.session))?;
    change.note(&mut tx, &form.session.actor(), action, &["state"]).await?;
    tx.commit().await?;
    Ok(Redirect::to(&format!("/dashboard/backfills/{id}")).into_response())
}
