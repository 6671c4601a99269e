//! What is done to the jobs that are selected, or to all that match a filter.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use weirgate_identity::users::Role;
use weirgate_queue::bulk::BulkAction;
use weirgate_queue::enqueue;
use weirgate_web::params::is_blank;

use super::jobs_asked::Asked;
use super::sent::Form;
use super::view::{Frame, Refusal, page};
use crate::http::Api;
use crate::operations::BulkJobs;

#[derive(Template)]
#[template(path = "bulk.html")]
struct BulkPage {
    frame: Frame,
    asked: Asked,
    selected: bool,
    action: &'static str,
    count: u64,
    exact: bool,
}

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
            let title = "Which action? retry, cancel or delete";
            return Err(refuse(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, title, "")));
        }
    };
    let confirmed = fields.get::<bool>("confirmed").unwrap_or(false);
    let selected = fields.get::<bool>("selected").unwrap_or(false);
    let asked = Asked::new(fields.pairs().to_vec());
    if selected && is_blank(asked.of("id")) {
        let detail = "Tick the jobs that are meant, in the first column of the list.";
        return Err(refuse(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "No job is selected", detail)));
    }
    let filter = asked.filter(&api).await.map_err(|problem| refuse(problem.into()))?;
    let refused = |error: crate::operations::BulkRefused| {
        refuse(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "Nothing was done", error.to_string()))
    };
    let bulk = BulkJobs::new(action, filter, false).map_err(refused)?;
    if !confirmed {
        let count = bulk.count(&mut *api.pool.acquire().await?).await?;
        let frame = Frame::new(&session, "/jobs");
        let (count, exact) = (count.count, count.exact);
        return Ok(page(&BulkPage { frame, asked, selected, action: action.as_str(), count, exact }));
    }
    let mut tx = api.pool.begin().await?;
    let actor = session.actor();
    let job = enqueue(&mut tx, vec![bulk.job()?.enqueued_by(actor.name())]).await?[0].id;
    let target = if selected { "selected jobs" } else { "all that match" };
    actor.note_bulk(&mut tx, (bulk.action, &bulk.filter), target, job).await?;
    tx.commit().await?;
    Ok(Redirect::to(&format!("/dashboard/jobs/{job}")).into_response())
}
