//! One workflow: its jobs drawn with what they wait on, how many are in which state, retry of what
//! has failed, and cancel.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use az::SaturatingAs;
use uuid::Uuid;
use weirgate_identity::platform::Role;
use weirgate_queue::read::{self, JobRow, WorkflowState};
use weirgate_queue::{JobState, QueueError, workflow};
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::{Path, Refusal};
use weirgate_web::dashboard::sent::{Form, filled};
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::views::View;
use weirgate_web::params::Fields;
use weirgate_web::problem::Problem;

use super::graph::Graph;
use super::workflows::class;
use crate::http::Api;
use crate::http::internal::workflows::nothing_failed;
use crate::http::workflow::WorkflowHead;
use crate::operations::WorkflowRetry;

/// Jobs that are drawn at once.
const DRAWN: usize = 100;

/// Jobs before and after a job that are drawn where its workflow is larger.
const NEAR: i64 = 12;

/// What changes of a workflow: the same for whoever looks at the same part of it.
#[derive(Template)]
#[template(path = "workflow_live.html")]
pub(super) struct WorkflowLive {
    id: Uuid,
    state: WorkflowState,
    total: i64,
    /// Every state that jobs are in.
    counts: Vec<(&'static str, i64)>,
    failed: i64,
    is_final: bool,
    graph: Graph,
    /// Where the next part begins.
    next: Option<i64>,
    is_part: bool,
}

impl WorkflowLive {
    pub(super) async fn take(api: &Api, id: Uuid, after: Option<i64>) -> Result<Self, Problem> {
        let mut conn = api.pool.acquire().await?;
        let found = read::workflow_counts(&mut conn, id).await?;
        if found.counts.total() == 0 {
            return Err(QueueError::UnknownWorkflow(id).into());
        }
        let limit = (DRAWN + 1).saturating_as::<i64>();
        let mut rows: Vec<JobRow> = read::workflow(&mut conn, id, after, limit).await?;
        let more = rows.len() > DRAWN;
        rows.truncate(DRAWN);
        Ok(Self {
            id,
            state: found.state(),
            total: found.counts.total(),
            counts: found
                .counts
                .iter()
                .filter(|(_, jobs)| *jobs > 0)
                .map(|(state, jobs)| (state.as_str(), jobs))
                .collect(),
            failed: found.counts.of(JobState::Discarded),
            is_final: found.counts.live() == 0,
            next: rows.last().filter(|_| more).map(|row| row.seq),
            is_part: more || after.is_some(),
            graph: Graph::new(rows, None),
        })
    }
}

impl WorkflowLive {
    /// The class of its state.
    fn class(&self) -> &'static str {
        class(self.state)
    }
}

/// A job among the others of its workflow: all of them, or those next to it where there are many.
pub(super) async fn around(api: &Api, workflow: Uuid, job: Uuid) -> weirgate_queue::Result<Graph> {
    let mut conn = api.pool.acquire().await?;
    let limit = (DRAWN + 1).saturating_as::<i64>();
    let mut rows = read::workflow(&mut conn, workflow, None, limit).await?;
    if rows.len() > DRAWN {
        rows = read::neighbours(&mut conn, job, NEAR).await?;
    }
    Ok(Graph::new(rows, Some(job)))
}

#[derive(Template)]
#[template(path = "workflow.html")]
struct WorkflowPage {
    frame: Frame,
    head: WorkflowHead,
    live: WorkflowLive,
    after: Option<i64>,
}

/// What the workflow is called; none where there is no job of it.
pub(super) async fn head(api: &Api, id: Uuid) -> weirgate_queue::Result<Option<WorkflowHead>> {
    let title = workflow::title(&mut *api.pool.acquire().await?, id).await?;
    let Some(title) = title else { return Ok(None) };
    let tenant = api.web.slugs.of(title.tenant_id).await?;
    Ok(Some(WorkflowHead::new(id, title, &tenant)))
}

fn part(query: Option<&str>) -> Result<Option<i64>, Problem> {
    let mut fields = Fields::of_pairs(filled(query.unwrap_or_default().as_bytes()));
    let after = fields.in_range("after", 0..=i64::MAX);
    fields.finish(Some(after))
}

pub(super) async fn show(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<Uuid>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let refuse = |problem: Problem| Refusal::from(problem).for_session(&session);
    let after = part(query.as_deref()).map_err(refuse)?;
    let live = WorkflowLive::take(&api, id, after).await.map_err(refuse)?;
    let head = head(&api, id).await?.ok_or_else(|| refuse(QueueError::UnknownWorkflow(id).into()))?;
    Ok(page(&WorkflowPage { frame: Frame::new(&session, "/workflows"), head, live, after }))
}

/// The jobs of a workflow after one of them, to be watched.
#[derive(Clone)]
struct Live(Uuid, Option<i64>);

impl View<Api> for Live {
    fn name(&self) -> String {
        let Self(id, after) = self;
        format!("workflow {id} {after:?}")
    }

    async fn render(&self, api: &Api) -> Result<String, Refusal> {
        let Self(id, after) = *self;
        Ok(WorkflowLive::take(api, id, after).await?.to_string())
    }
}

/// Its changes from now on.
pub(super) async fn stream(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<Uuid>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let after = part(query.as_deref()).map_err(|problem| Refusal::from(problem).for_session(&session))?;
    Ok(api.dashboard.views.stream(&api, Live(id, after)))
}

pub(super) async fn retry_failed(
    State(api): State<Api>,
    Path(id): Path<Uuid>,
    form: Form,
) -> Result<Response, Refusal> {
    form.require(Role::Operator)?;
    let refuse = |problem: Problem| Refusal::from(problem).for_session(&form.session);
    let mut tx = api.pool.begin().await?;
    let actor = form.session.actor();
    let done = crate::operations::retry_failed(&mut tx, id, actor.name()).await;
    let done = done.map_err(|error| refuse(error.into()))?;
    if done == WorkflowRetry::NothingFailed {
        return Err(refuse(nothing_failed(id)));
    }
    actor.note_workflow_retry(&mut tx, id, &done.detail()).await?;
    tx.commit().await?;
    if let WorkflowRetry::Done { retried: 0, refused } = done {
        return Err(Refusal::new(
            StatusCode::CONFLICT,
            "Nothing was retried",
            format!("Each of the {refused} failed jobs has been enqueued again already."),
        )
        .for_session(&form.session));
    }
    let to = match done {
        WorkflowRetry::Begun(job) => format!("/dashboard/jobs/{job}"),
        _ => format!("/dashboard/workflows/{id}"),
    };
    Ok(Redirect::to(&to).into_response())
}

pub(super) async fn cancel(
    State(api): State<Api>,
    Path(id): Path<Uuid>,
    form: Form,
) -> Result<Response, Refusal> {
    form.require(Role::Operator)?;
    let mut tx = api.pool.begin().await?;
    let cancelled = workflow::cancel(&mut tx, id).await;
    let cancelled = cancelled.map_err(|error| Refusal::from(error).for_session(&form.session))?;
    form.session.actor().note_workflow_cancel(&mut tx, id, cancelled).await?;
    tx.commit().await?;
    Ok(Redirect::to(&format!("/dashboard/workflows/{id}")).into_response())
}
