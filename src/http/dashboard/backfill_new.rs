//! A new backfill: first what it would do, and once that is confirmed, the backfill.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use uuid::Uuid;
use weirgate_jobs::{BackfillKind, BackfillRange, Reprocess, Tenant};
use weirgate_queue::backfill;

use super::backfill::policy_in_words;
use super::session::{Form, Session};
use super::view::{Frame, Refusal, page};
use crate::http::Api;
use crate::http::backfill_request::{BackfillBody, BackfillRequest};
use crate::http::context::RequestContext;
use crate::http::params::Fields;
use crate::http::problem::{Problem, Shown};
use crate::users::Role;

/// Tenants that a dry run names.
const NAMED: usize = 50;

#[derive(Template)]
#[template(path = "backfill_new.html")]
struct NewPage {
    frame: Frame,
    kinds: [&'static str; 3],
    policies: [(&'static str, &'static str); 3],
    error: String,
    asked: Vec<(String, String)>,
}

impl NewPage {
    fn new(session: &Session, error: String, asked: Vec<(String, String)>) -> Self {
        Self {
            frame: Frame::new(session, "/backfills"),
            kinds: BackfillKind::ALL.map(BackfillKind::name),
            policies: Reprocess::ALL.map(|policy| (policy.as_str(), policy_in_words(policy))),
            error,
            asked,
        }
    }

    /// Whether that kind is asked for, by whichever of its names.
    fn is_kind(&self, kind: &str) -> bool {
        BackfillKind::name_of(self.of("kind")) == kind
    }

    fn of(&self, wanted: &str) -> &str {
        self.asked.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value)
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.of(name) == value
    }
}

pub(super) async fn show(session: Session) -> Response {
    page(&NewPage::new(&session, String::new(), Vec::new()))
}

/// What would be done.
#[derive(Template)]
#[template(path = "backfill_dry.html")]
struct DryPage {
    frame: Frame,
    /// Sent along with the confirmation.
    asked: Vec<(String, String)>,
    /// Of the backfill to be, so that it is made once, however often the button is pressed.
    id: Uuid,
    kind: BackfillKind,
    policy: &'static str,
    days: String,
    total: u64,
    due: u64,
    future_days: u64,
    tenants: Vec<(String, u64)>,
    tenants_in_all: usize,
}

impl DryPage {
    fn jobs(&self) -> u64 {
        self.due * self.kind.jobs_of_slice()
    }

    fn skipped(&self) -> u64 {
        self.total.saturating_sub(self.due + self.future_days)
    }
}

pub(super) async fn create(
    State(api): State<Api>,
    context: RequestContext,
    form: Form,
) -> Result<Response, Refusal> {
    form.require(Role::Operator)?;
    let Form { session, mut fields } = form;
    let confirmed: bool = fields.get("confirmed").unwrap_or(false);
    let id: Option<Uuid> = fields.get("id");
    let asked = fields.pairs().to_vec();
    let answer = match id.filter(|_| confirmed) {
        Some(id) => store(&api, context, &session, id, fields).await,
        None => dry_run(&api, context, &session, fields).await,
    };
    // What was typed is not lost with what is wrong with it.
    Ok(answer.unwrap_or_else(|problem| {
        let (status, title, detail) = problem.words();
        let mut response = page(&NewPage::new(&session, format!("{title}: {detail}"), asked));
        *response.status_mut() = status;
        response.extensions_mut().insert(Shown);
        response
    }))
}

/// The checked request.
fn check(context: RequestContext, mut fields: Fields) -> Result<BackfillRequest, Problem> {
    let body = BackfillBody::of_form(&mut fields);
    let request = BackfillRequest::check(&mut fields, body, None, context);
    fields.finish(request)
}

async fn dry_run(
    api: &Api,
    context: RequestContext,
    session: &Session,
    fields: Fields,
) -> Result<Response, Problem> {
    let asked = fields.pairs().to_vec();
    let request = check(context, fields)?;
    let mut conn = api.pool.acquire().await?;
    let (range, tenants) = request.range(&mut conn).await?;
    let counts = range.count(&mut conn, request.kind).await?;
    let future_days = range.future_days(&mut conn).await?;
    let due: u64 = counts.iter().map(|(_, _, slices)| slices).sum();
    let named = counts.into_iter().filter(|(_, _, slices)| *slices > 0).take(NAMED);
    Ok(page(&DryPage {
        frame: Frame::new(session, "/backfills"),
        asked,
        id: Uuid::now_v7(),
        kind: request.kind,
        policy: policy_in_words(request.reprocess),
        days: format!("{} to {}", request.from, request.to),
        total: range.total(),
        due,
        future_days,
        tenants: named.map(|(_, slug, slices)| (slug.0, slices)).collect(),
        tenants_in_all: tenants.len(),
    }))
}

async fn store(
    api: &Api,
    context: RequestContext,
    session: &Session,
    id: Uuid,
    fields: Fields,
) -> Result<Response, Problem> {
    let request = check(context, fields)?;
    let made = Redirect::to(&format!("/dashboard/backfills/{id}")).into_response();
    let mut tx = api.pool.begin().await?;
    let (range, tenants): (BackfillRange, Vec<Tenant>) = request.range(&mut tx).await?;
    let new = request.backfill(&mut tx, &range, &tenants).await?;
    if let Err(error) = backfill::create(&mut tx, id, &new).await {
        // The button was pressed twice.
        let is_there = matches!(&error, weirgate_queue::QueueError::Database(error)
            if error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation));
        return if is_there { Ok(made) } else { Err(error.into()) };
    }
    session.actor().note_backfill(&mut tx, id, &new, &range.tenants).await?;
    tx.commit().await?;
    Ok(made)
}
