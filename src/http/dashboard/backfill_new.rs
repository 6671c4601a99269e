//! A new backfill: first what it would do, and once that is confirmed, the backfill.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use uuid::Uuid;
use weirgate_identity::Tenant;
use weirgate_identity::platform::Role;
use weirgate_queue::backfill;
use weirgate_web::backfill::{BackfillKind, BackfillRange, Reprocess};
use weirgate_web::context::RequestContext;
use weirgate_web::dashboard::form::{Field, Given, TENANTS, Wrong};
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::sent::Form;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::suggest::Suggestions;
use weirgate_web::params::Fields;
use weirgate_web::problem::Problem;

use super::backfill::policy_in_words;
use crate::http::Api;
use crate::http::backfill_request::{BackfillBody, BackfillRequest};

/// Tenants that a dry run names.
const NAMED: usize = 50;

#[derive(Template)]
#[template(path = "backfill_new.html")]
struct NewPage {
    frame: Frame,
    fields: Vec<Field>,
    suggestions: Suggestions,
    /// What is wrong beside the fields.
    others: Vec<String>,
    is_wrong: bool,
}

impl NewPage {
    async fn new(
        api: &Api,
        session: &Session,
        asked: Vec<(String, String)>,
        wrong: Option<&Wrong>,
    ) -> Result<Self, Problem> {
        let given = Given::new(asked, wrong);
        let fields = fields(&given, api.catalog.backfills());
        Ok(Self {
            frame: Frame::new(session, "/backfills"),
            others: given.elsewhere(&fields.iter().collect::<Vec<_>>()),
            fields,
            suggestions: Suggestions::of_tenants(&mut *api.pool.acquire().await?).await?,
            is_wrong: wrong.is_some(),
        })
    }
}

fn fields(given: &Given, kinds: &[BackfillKind]) -> Vec<Field> {
    let kinds = kinds.iter().map(|kind| (kind.name, kind.name)).collect();
    let policies = Reprocess::ALL.map(|policy| (policy.as_str(), policy_in_words(policy)));
    let orders = [("newest_first", "newest day first"), ("oldest_first", "oldest day first")];
    vec![
        given.field("kind", "Kind").choice(kinds),
        given.field("from", "First day (tenant's time zone)").day().required(),
        given.field("to", "Last day (tenant's time zone)").day().required(),
        given
            .field("tenants", "Tenants (empty: all active)")
            .suggesting(TENANTS)
            .with_placeholder("tenant_a, tenant_b"),
        given.field("reprocess", "Reprocess").choice(policies.into()),
        given.field("order", "Order").choice(orders.into()),
        given
            .field("share", "Share of workers while live jobs are available (0 to 1)")
            .with_placeholder("0.25"),
        given
            .field("max_running", "Max running per queue")
            .number("1", "1000000")
            .with_placeholder("no limit"),
        given.field("priority", "Priority (−100 to 100)").number("-100", "100").with_placeholder("0"),
    ]
}

pub(super) async fn show(State(api): State<Api>, session: Session) -> Result<Response, Refusal> {
    if api.catalog.backfills().is_empty() {
        return Err(Refusal::no_such_page().for_session(&session));
    }
    let shown = NewPage::new(&api, &session, Vec::new(), None).await;
    Ok(page(&shown.map_err(|problem| Refusal::from(problem).for_session(&session))?))
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
        self.due * self.kind.jobs_of_slice
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
    let refuse = |refusal: Refusal| refusal.for_session(&session);
    // What was typed is not lost with what is wrong with it.
    match answer {
        Ok(answer) => Ok(answer),
        Err(problem) => {
            let wrong = Wrong::of(problem, "tenants").map_err(refuse)?;
            let shown = NewPage::new(&api, &session, asked, Some(&wrong)).await;
            Ok(wrong.page(&shown.map_err(|problem| refuse(problem.into()))?))
        }
    }
}

/// The checked request.
fn check(api: &Api, context: RequestContext, mut fields: Fields) -> Result<BackfillRequest, Problem> {
    let body = BackfillBody::of_form(&mut fields);
    let request = BackfillRequest::check(&mut fields, body, None, context, &api.catalog);
    fields.finish(request)
}

async fn dry_run(
    api: &Api,
    context: RequestContext,
    session: &Session,
    fields: Fields,
) -> Result<Response, Problem> {
    let asked = fields.pairs().to_vec();
    let request = check(api, context, fields)?;
    let mut conn = api.pool.acquire().await?;
    let (range, tenants) = request.range(&mut conn).await?;
    let counts = (request.kind.count)(&mut conn, &range).await?;
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
    let request = check(api, context, fields)?;
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
