//! One job: what it is, what became of it, why it does not run, and what can be done about it.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::{JobState, control};

use super::act::note;
use super::session::{Form, Session};
use super::view::{Frame, Refusal, When, page, span};
use crate::http::Api;
use crate::http::context::RequestContext;
use crate::http::extract::Path;
use crate::http::follow::Viewer;
use crate::http::job::JobResource;
use crate::users::Role;

/// A failed attempt.
struct Attempt {
    number: i32,
    at: When,
    code: String,
    message: String,
    again: Option<When>,
}

/// How far it is.
struct Done {
    done: u64,
    total: Option<u64>,
    message: String,
}

#[derive(Template)]
#[template(path = "job.html")]
struct JobPage {
    frame: Frame,
    id: String,
    kind: String,
    state: &'static str,
    tenant: String,
    queue: String,
    priority: i16,
    attempts: String,
    why: Option<String>,
    progress: Option<Done>,
    created: When,
    scheduled: When,
    started: Option<When>,
    ended: Option<When>,
    waited: Option<String>,
    ran: Option<String>,
    attempts_failed: Vec<Attempt>,
    args: String,
    output: Option<String>,
    workflow: Option<String>,
    backfill: Option<String>,
    parents: Vec<String>,
    trace: Option<String>,
    can_cancel: bool,
    can_retry: bool,
    is_final: bool,
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

impl JobPage {
    fn new(frame: Frame, job: JobResource) -> Self {
        let when = |at| When::new(at, job.observed_at);
        let due = job.scheduled_at.max(job.created_at);
        let until = job.finalized_at.unwrap_or(job.observed_at);
        let attempts = job.errors.iter().map(|error| Attempt {
            number: error.attempt,
            at: when(error.at),
            code: error.code.clone(),
            message: error.message.clone(),
            again: error.retry_at.map(when),
        });
        let runs = matches!(job.state, JobState::Running | JobState::Completed);
        Self {
            id: job.id.to_string(),
            state: job.state.as_str(),
            attempts: format!("{} of {}", job.attempt, job.max_attempts),
            why: job.why_not_running.as_ref().map(|why| why.message.clone()),
            progress: job.progress.as_ref().map(|progress| Done {
                done: progress.done,
                total: progress.total,
                message: progress.message.clone(),
            }),
            created: when(job.created_at),
            scheduled: when(job.scheduled_at),
            started: job.attempted_at.map(when),
            ended: job.finalized_at.map(when),
            waited: job.attempted_at.filter(|_| runs).map(|at| span(at - due)),
            ran: job.attempted_at.filter(|_| runs).map(|at| span(until - at)),
            attempts_failed: attempts.collect(),
            args: pretty(&job.args),
            output: job.output.as_ref().map(pretty),
            workflow: job.workflow_id.map(|id| id.to_string()),
            backfill: job.backfill_id.map(|id| id.to_string()),
            parents: job.depends_on.iter().map(Uuid::to_string).collect(),
            trace: job.trace_id.clone(),
            can_cancel: frame.may_act && !job.state.is_final(),
            can_retry: frame.may_act && matches!(job.state, JobState::Cancelled | JobState::Discarded),
            is_final: job.state.is_final(),
            kind: job.kind,
            tenant: job.tenant,
            queue: job.queue,
            priority: job.priority,
            frame,
        }
    }
}

pub(super) async fn show(
    State(api): State<Api>,
    session: Session,
    context: RequestContext,
    Path(id): Path<Uuid>,
) -> Result<Response, Refusal> {
    let job = Viewer::service(&api, &context).job(id).await;
    let job = job.map_err(|problem| Refusal::from(problem).for_session(&session))?;
    Ok(page(&JobPage::new(Frame::new(&session, "/jobs"), job)))
}

/// An event for each change, until it is final.
pub(super) async fn events(
    State(api): State<Api>,
    session: Session,
    context: RequestContext,
    Path(id): Path<Uuid>,
) -> Result<Response, Refusal> {
    let stream = Viewer::service(&api, &context).events(id).await;
    stream.map_err(|problem| Refusal::from(problem).for_session(&session))
}

pub(super) async fn cancel(state: State<Api>, id: Path<Uuid>, form: Form) -> Result<Response, Refusal> {
    act(state, id, form, "job.cancel", control::cancel).await
}

pub(super) async fn retry(state: State<Api>, id: Path<Uuid>, form: Form) -> Result<Response, Refusal> {
    act(state, id, form, "job.retry", control::retry).await
}

/// Does `verb` to a job, and back to its page.
async fn act(
    State(api): State<Api>,
    Path(id): Path<Uuid>,
    form: Form,
    action: &str,
    verb: impl AsyncFnOnce(&mut PgConnection, Uuid) -> weirgate_queue::Result<JobState>,
) -> Result<Response, Refusal> {
    form.require(Role::Operator)?;
    let mut tx = api.pool.begin().await?;
    let done = verb(&mut tx, id).await;
    let state = done.map_err(|error| Refusal::from(error).for_session(&form.session))?;
    note(&mut tx, &form.session.user, action, &id.to_string(), &json!({ "state": state.as_str() })).await?;
    tx.commit().await?;
    Ok(Redirect::to(&format!("/dashboard/jobs/{id}")).into_response())
}
