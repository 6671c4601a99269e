//! One job: what it is, what became of it, why it does not run, and what can be done about it.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_identity::audit::{self, Act, Change, Subject};
use weirgate_identity::platform::Role;
use weirgate_queue::read::{self, WaitsOn};
use weirgate_queue::{JobState, control};
use weirgate_web::context::RequestContext;
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::{Path, Refusal};
use weirgate_web::dashboard::sent::Form;
use weirgate_web::dashboard::session::Session;
use weirgate_web::follow::Viewer;
use weirgate_web::job::JobResource;
use weirgate_web::parse::Parse;
use weirgate_web::reason::{CancelCode, WhyCancelled};
use weirgate_web::why::LiesIn;

use super::graph::Graph;
use super::job_timeline::{Attempt, Moment, Workers, attempts, before_last_retry, spans, timeline};
use super::workflow::{around, head};
use crate::http::Api;
use crate::http::workflow::WorkflowHead;

/// A link to what would change something.
struct Way {
    to: String,
    text: String,
}

/// How far it is.
struct Done {
    done: u64,
    total: Option<u64>,
    message: String,
}

#[derive(Template)]
#[template(path = "job.html")]
#[expect(clippy::struct_excessive_bools, reason = "what the page shows, each on its own")]
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
    way: Option<Way>,
    cannot_overtake: bool,
    progress: Option<Done>,
    waited: Option<String>,
    ran: Option<String>,
    timeline: Vec<Moment>,
    attempts_failed: Vec<Attempt>,
    args: String,
    output: Option<String>,
    output_omitted: bool,
    /// Why it was cancelled, and the page that tells more.
    cancelled: Option<(String, Option<String>)>,
    day: Option<String>,
    workflow: Option<WorkflowHead>,
    backfill: Option<String>,
    parents: Vec<WaitsOn>,
    more_parents: usize,
    trace: Option<String>,
    graph: Option<Graph>,
    can_cancel: bool,
    can_retry: bool,
    can_run_now: bool,
    can_prioritize: bool,
    can_delete: bool,
    is_final: bool,
}

/// What a job stands among.
struct Around {
    workflow: Option<WorkflowHead>,
    graph: Option<Graph>,
    /// The first of those that it waits, or waited, on.
    parents: Vec<WaitsOn>,
}

impl Around {
    async fn of(api: &Api, job: &JobResource) -> weirgate_queue::Result<Self> {
        let (workflow, graph) = match job.workflow_id {
            Some(workflow) => (head(api, workflow).await?, Some(around(api, workflow, job.id).await?)),
            None => (None, None),
        };
        let parents = read::parents(&mut *api.pool.acquire().await?, job.id, PARENTS).await?;
        Ok(Self { workflow, graph, parents })
    }
}

/// Most jobs that are named of those that a job waits on.
const PARENTS: i64 = 100;

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// Where one can change that it does not run.
fn way(job: &JobResource) -> Option<Way> {
    let why = job.why_not_running.as_ref()?;
    let (tenant, queue) = (&job.tenant, &job.queue);
    let (to, text) = match why.lies_in {
        LiesIn::Time => return None,
        LiesIn::Parents => match &why.waits_on {
            Some(first) => (format!("/dashboard/jobs/{}", first.id), format!("See the job {}", first.kind)),
            None => ("#parents".to_owned(), "See its dependencies".to_owned()),
        },
        LiesIn::Workers => ("/dashboard/workers".to_owned(), "See the workers".to_owned()),
        LiesIn::Queue => (format!("/dashboard/queues/{queue}"), format!("See queue {queue}")),
        LiesIn::Lane => {
            (format!("/dashboard/tenants/{tenant}/lanes/{queue}"), format!("See {tenant} in queue {queue}"))
        }
        LiesIn::Backfill => {
            (format!("/dashboard/backfills/{}", job.backfill_id?), "See the backfill".to_owned())
        }
        LiesIn::Order => (
            format!("/dashboard/jobs?tenant_id={tenant}&queue={queue}&state=available"),
            format!("See the available jobs of {tenant} in queue {queue}"),
        ),
    };
    Some(Way { to, text })
}

/// The page that tells more of why a job of this workflow and this backfill was cancelled.
fn page_of(why: &WhyCancelled, workflow: Option<Uuid>, backfill: Option<Uuid>) -> Option<String> {
    match why.code {
        CancelCode::Cancelled => None,
        CancelCode::WorkflowCancelled => workflow.map(|id| format!("/dashboard/workflows/{id}")),
        CancelCode::BackfillCancelled => backfill.map(|id| format!("/dashboard/backfills/{id}")),
        CancelCode::BulkCancelled | CancelCode::JobFailed => {
            why.job_id.map(|id| format!("/dashboard/jobs/{id}"))
        }
    }
}

/// How many attempts were made.
fn made(job: &JobResource) -> String {
    let earlier = match before_last_retry(job) {
        0 => String::new(),
        before => format!(", and {before} before it was retried"),
    };
    format!("{} of {}{earlier}", job.attempt, job.max_attempts)
}

impl JobPage {
    fn new(frame: Frame, job: JobResource, workers: &Workers, acts: &[Act], around: Around) -> Self {
        let (waited, ran) = spans(&job);
        let lies_in = job.why_not_running.as_ref().map(|why| why.lies_in);
        Self {
            id: job.id.to_string(),
            state: job.state.as_str(),
            attempts: made(&job),
            why: job.why_not_running.as_ref().map(|why| why.message.clone()),
            way: way(&job),
            cannot_overtake: matches!(lies_in, Some(LiesIn::Lane | LiesIn::Queue | LiesIn::Backfill)),
            progress: job.progress.as_ref().map(|progress| Done {
                done: progress.done,
                total: progress.total,
                message: progress.message.clone(),
            }),
            waited,
            ran,
            timeline: timeline(&job, workers, acts),
            attempts_failed: attempts(&job, workers),
            args: pretty(&job.args),
            output: job.output.as_ref().map(pretty),
            output_omitted: job.output_omitted,
            cancelled: job
                .why_cancelled
                .as_ref()
                .map(|why| (why.message.clone(), page_of(why, job.workflow_id, job.backfill_id))),
            day: job.date.map(|day| day.to_string()),
            workflow: around.workflow,
            backfill: job.backfill_id.map(|id| id.to_string()),
            more_parents: job.depends_on.len().saturating_sub(around.parents.len()),
            parents: around.parents,
            trace: job.trace_id.clone(),
            graph: around.graph,
            can_cancel: frame.may_act && !job.state.is_final(),
            can_retry: frame.may_act && matches!(job.state, JobState::Cancelled | JobState::Discarded),
            can_run_now: frame.may_act && matches!(job.state, JobState::Scheduled | JobState::Retryable),
            can_prioritize: frame.may_act && !job.state.is_final(),
            can_delete: frame.may_act && job.state.is_final(),
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
    let job = Viewer::service(&api.web, &context).job(id).await;
    let job = job.map_err(|problem| Refusal::from(problem).for_session(&session))?;
    let workers = Workers::of(&api, &job).await?;
    // What is done to the whole of which it is a part is done to it.
    let targets = [Some(id), job.workflow_id, job.backfill_id].into_iter().flatten();
    let targets: Vec<String> = targets.map(|target| target.to_string()).collect();
    let around = Around::of(&api, &job).await?;
    let acts = audit::done_to(&mut *api.pool.acquire().await?, &targets).await?;
    Ok(page(&JobPage::new(Frame::new(&session, "/jobs"), job, &workers, &acts, around)))
}

/// An event for each change, until it is final.
pub(super) async fn events(
    State(api): State<Api>,
    session: Session,
    context: RequestContext,
    Path(id): Path<Uuid>,
) -> Result<Response, Refusal> {
    let stream = Viewer::service(&api.web, &context).events(id).await;
    stream.map_err(|problem| Refusal::from(problem).for_session(&session))
}

pub(super) async fn cancel(state: State<Api>, id: Path<Uuid>, form: Form) -> Result<Response, Refusal> {
    act(state, id, form, "job.cancel", control::cancel).await
}

pub(super) async fn retry(state: State<Api>, id: Path<Uuid>, form: Form) -> Result<Response, Refusal> {
    act(state, id, form, "job.retry", control::retry).await
}

pub(super) async fn run_now(state: State<Api>, id: Path<Uuid>, form: Form) -> Result<Response, Refusal> {
    act(state, id, form, "job.run_now", control::run_now).await
}

pub(super) async fn set_priority(
    State(api): State<Api>,
    Path(id): Path<Uuid>,
    form: Form,
) -> Result<Response, Refusal> {
    form.require(Role::Operator)?;
    let Form { session, mut fields } = form;
    let refuse = |refusal: Refusal| refusal.for_session(&session);
    let given = fields.required::<Priority>("priority");
    let Priority(priority) = fields.finish(given).map_err(|problem| refuse(problem.into()))?;
    let mut tx = api.pool.begin().await?;
    let change = Change::begin(&mut tx, Subject::Job(id)).await?;
    control::set_priority(&mut tx, id, priority).await.map_err(|error| refuse(error.into()))?;
    change.note(&mut tx, &session.actor(), "job.priority", &["priority"]).await?;
    tx.commit().await?;
    Ok(Redirect::to(&format!("/dashboard/jobs/{id}")).into_response())
}

/// Of a job.
struct Priority(i16);

impl Parse for Priority {
    fn parse(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number| (-100..=100).contains(number));
        number.map(Self).ok_or_else(|| "expected a whole number from -100 to 100".to_owned())
    }
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
    let change = Change::begin(&mut tx, Subject::Job(id)).await?;
    verb(&mut tx, id).await.map_err(|error| Refusal::from(error).for_session(&form.session))?;
    change.note(&mut tx, &form.session.actor(), action, &["state"]).await?;
    tx.commit().await?;
    Ok(Redirect::to(&format!("/dashboard/jobs/{id}")).into_response())
}
