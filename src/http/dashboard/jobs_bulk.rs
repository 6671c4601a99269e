//! What is done to the jobs that are selected, or to all that match a filter.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use az::SaturatingAs;
use weirgate_identity::platform::Role;
use weirgate_queue::control::bulk::BulkAction;
use weirgate_queue::enqueue;
use weirgate_queue::telemetry::failures;
use weirgate_web::dashboard::confirm::Confirm;
use weirgate_web::dashboard::frame::Frame;
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::sent::Form;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::words::of;
use weirgate_web::params::is_blank;

use super::jobs_asked::Asked;
use crate::http::Api;
use crate::operations::BulkJobs;

/// First says how many jobs it would be; once confirmed, enqueues the job that does it.
pub(super) async fn bulk(State(api): State<Api>, form: Form) -> Result<Response, Refusal> {
    form.require(Role::Operator)?;
    let Form { session, mut fields } = form;
    let refuse = |refusal: Refusal| refusal.for_session(&session);
    let action = match fields.get::<String>("action").as_deref() {
        Some("retry") => BulkAction::Retry,
        Some("cancel") => BulkAction::Cancel,
        Some("delete") => BulkAction::Delete,
        _ => {
            let title = "Choose an action: retry, cancel or delete";
            return Err(refuse(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, title, "")));
        }
    };
    let confirmed = fields.get::<bool>("confirmed").unwrap_or(false);
    let selected = fields.get::<bool>("selected").unwrap_or(false);
    let asked = Asked::new(fields.pairs().to_vec());
    if selected && is_blank(asked.of("id")) {
        let detail = "Select jobs in the first column of the list.";
        return Err(refuse(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "No jobs are selected", detail)));
    }
    let filter = asked.filter(&api).await.map_err(|problem| refuse(problem.into()))?;
    let refused = |error: crate::operations::BulkRefused| {
        refuse(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "Nothing was done", error.to_string()))
    };
    let bulk = BulkJobs::new(action, filter, false).map_err(refused)?;
    if !confirmed {
        return Ok(ask(&api, &session, &bulk, &asked, selected).await?.ask());
    }
    let mut tx = api.pool.begin().await?;
    let actor = session.actor();
    let job = enqueue(&mut tx, vec![bulk.job()?.enqueued_by(actor.name())]).await?[0].id;
    let target = if selected { "selected jobs" } else { "all that match" };
    actor.note_bulk(&mut tx, (bulk.action, &bulk.filter), target, job).await?;
    tx.commit().await?;
    Ok(Redirect::to(&format!("/dashboard/jobs/{job}")).into_response())
}

/// Says how many jobs it would be, and which.
async fn ask(
    api: &Api,
    session: &Session,
    bulk: &BulkJobs,
    asked: &Asked,
    selected: bool,
) -> Result<Confirm, Refusal> {
    let mut conn = api.pool.acquire().await?;
    let counted = bulk.count(&mut conn).await?;
    let action = bulk.action.as_str();
    let jobs = of(counted.count.saturating_as::<i64>(), "job", "jobs");
    let at_least = if counted.exact { "" } else { "at least " };
    let (first, rest) = action.split_at(1);
    let yes = format!("{}{rest} {at_least}{jobs}", first.to_uppercase());
    let mut title = yes.clone();
    let mut details = asked.pairs.clone();
    if let Some(id) = bulk.filter.failure
        && let Some((kind, code, pattern)) = failures::get(&mut conn, id).await?
    {
        title = format!("{yes}: {kind}, {code}");
        for (name, value) in details.iter_mut().filter(|(name, _)| name == "failure_id") {
            (*name, *value) = ("failure".to_owned(), format!("{code}, {pattern}"));
        }
    }
    let mut fields = asked.pairs.clone();
    fields.push(("action".to_owned(), action.to_owned()));
    if selected {
        fields.push(("selected".to_owned(), "true".to_owned()));
    }
    let how = "This runs as a background job. Cancel it to stop; retry it to continue.";
    Ok(Confirm {
        frame: Frame::new(session, "/jobs"),
        title,
        happens: vec![how.to_owned()],
        details,
        action: "/dashboard/jobs/bulk".to_owned(),
        fields,
        yes,
        back: format!("/dashboard/jobs?{}", asked.query()),
    })
}
