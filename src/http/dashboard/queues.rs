//! The queues: pause them and let them go on.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;
use weirgate_queue::lanes::limits::pause_queue;

use super::act::note;
use super::overview::{Look, Row};
use super::session::{Form, Session};
use super::view::{Frame, Refusal, page};
use crate::http::Api;
use crate::http::extract::Path;
use crate::queues;
use crate::users::Role;

#[derive(Template)]
#[template(path = "queues.html")]
struct QueuesPage {
    frame: Frame,
    rows: Vec<Row>,
}

pub(super) async fn show(State(api): State<Api>, session: Session) -> Result<Response, Refusal> {
    let rows = Look::take(&api).await?.rows;
    Ok(page(&QueuesPage { frame: Frame::new(&session, "/queues"), rows }))
}

pub(super) async fn pause(state: State<Api>, name: Path<String>, form: Form) -> Result<Response, Refusal> {
    set(state, name, form, true).await
}

pub(super) async fn resume(state: State<Api>, name: Path<String>, form: Form) -> Result<Response, Refusal> {
    set(state, name, form, false).await
}

async fn set(
    State(api): State<Api>,
    Path(name): Path<String>,
    form: Form,
    paused: bool,
) -> Result<Response, Refusal> {
    form.require(Role::Operator)?;
    let mut tx = api.pool.begin().await?;
    if !queues::known(&mut tx, None).await?.contains(&name) {
        let title = format!("There is no queue {name}");
        return Err(Refusal::new(StatusCode::NOT_FOUND, title, "").for_session(&form.session));
    }
    pause_queue(&mut tx, &name, paused).await?;
    let action = if paused { "queue.pause" } else { "queue.resume" };
    note(&mut tx, &form.session.user, action, &name, &json!({})).await?;
    tx.commit().await?;
    Ok(Redirect::to("/dashboard/queues").into_response())
}
