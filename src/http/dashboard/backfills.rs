//! The backfills, newest first, with how far they are.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use az::SaturatingAs;
use uuid::Uuid;
use weirgate_queue::backfill::{self, Backfill, BackfillState};
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::sent::filled;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::views::View;
use weirgate_web::dashboard::when::When;
use weirgate_web::domain::Catalog;
use weirgate_web::params::Fields;
use weirgate_web::problem::Problem;

use super::backfill::{Asked, rate};
use crate::http::Api;

const ON_A_PAGE: usize = 25;

/// A backfill in the list.
struct Row {
    id: Uuid,
    kind: String,
    state: BackfillState,
    asked: Asked,
    done: u64,
    total: u64,
    rate: String,
    finish: Option<When>,
    created: When,
}

impl Row {
    fn new(backfill: &Backfill, catalog: &Catalog) -> Result<Self, Problem> {
        let when = |at| When::new(at, backfill.observed_at);
        Ok(Self {
            id: backfill.id,
            state: backfill.state,
            asked: Asked::of(backfill)?,
            done: backfill.done,
            total: backfill.total,
            rate: rate(backfill),
            finish: backfill.estimated_finish.map(when),
            created: when(backfill.created_at),
            kind: catalog.name_of(&backfill.kind).to_owned(),
        })
    }
}

/// A page of them: the same for whoever looks.
#[derive(Template)]
#[template(path = "backfills_live.html")]
pub(super) struct BackfillsLive {
    rows: Vec<Row>,
    older: Option<Uuid>,
}

impl BackfillsLive {
    /// Those made before `before`.
    pub(super) async fn take(api: &Api, before: Option<Uuid>) -> Result<Self, Problem> {
        let limit = (ON_A_PAGE + 1).saturating_as::<i64>();
        let mut all = backfill::list(&mut *api.pool.acquire().await?, before, limit).await?;
        let more = all.len() > ON_A_PAGE;
        all.truncate(ON_A_PAGE);
        let older = all.last().filter(|_| more).map(|last| last.id);
        Ok(Self {
            rows: all.into_iter().map(|row| Row::new(&row, &api.catalog)).collect::<Result<_, _>>()?,
            older,
        })
    }
}

#[derive(Template)]
#[template(path = "backfills.html")]
struct BackfillsPage {
    frame: Frame,
    /// Whether there is a kind of backfill that can be created.
    can_create: bool,
    live: BackfillsLive,
    /// Whether these are the newest, which are live.
    newest: bool,
}

pub(super) async fn list(
    State(api): State<Api>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let refuse = |problem: Problem| Refusal::from(problem).for_session(&session);
    let mut fields = Fields::of_pairs(filled(query.unwrap_or_default().as_bytes()));
    let before: Option<Uuid> = fields.get("before");
    fields.finish(Some(())).map_err(refuse)?;
    let live = BackfillsLive::take(&api, before).await.map_err(refuse)?;
    let frame = Frame::new(&session, "/backfills");
    Ok(page(&BackfillsPage {
        can_create: !api.catalog.backfills().is_empty(),
        frame,
        live,
        newest: before.is_none(),
    }))
}

/// The newest backfills, to be watched.
#[derive(Clone)]
struct Live;

impl View<Api> for Live {
    fn name(&self) -> String {
        "backfills".to_owned()
    }

    async fn render(&self, api: &Api) -> Result<String, Refusal> {
        Ok(BackfillsLive::take(api, None).await?.to_string())
    }
}

/// The changes of the newest from now on.
pub(super) async fn stream(State(api): State<Api>, _: Session) -> Response {
    api.dashboard.views.stream(&api, Live)
}
