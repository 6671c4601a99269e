//! Jobs by filter, and what is done to those that are selected or to all that match.

use std::time::Duration;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde_json::Value;
use weirgate_jobs::BulkJobs;
use weirgate_queue::bulk::BulkAction;
use weirgate_queue::query::JobFilter;
use weirgate_queue::{JobState, enqueue, failures};

use super::session::{Form, Session, filled};
use super::view::{Frame, Refusal, When, page, span};
use crate::http::Api;
use crate::http::context::RequestContext;
use crate::http::follow::Viewer;
use crate::http::job::JobResource;
use crate::http::job_list::{resolved, take_filter};
use crate::http::params::{Fields, TenantName, is_blank};
use crate::http::problem::Problem;
use crate::users::Role;

const ON_A_PAGE: i64 = 50;
/// Most characters of arguments in the list.
const SHORT: usize = 80;
/// So old may rows be; who looks at the same jobs meanwhile gets the same.
const FRESH: Duration = Duration::from_millis(900);

/// A job in the list.
struct Row {
    id: String,
    state: &'static str,
    kind: String,
    tenant: String,
    queue: String,
    /// In short.
    args: String,
    attempts: String,
    created: When,
    /// How long it ran, or why it does not.
    remark: String,
}

impl Row {
    fn new(job: JobResource) -> Self {
        let error = job.errors.last().map(|error| format!("{}: {}", error.code, error.message));
        let ran = job.attempted_at.zip(job.finalized_at).map(|(from, to)| format!("ran {}", span(to - from)));
        let remark = match job.state {
            JobState::Discarded | JobState::Retryable => error,
            JobState::Running => {
                job.attempted_at.map(|at| format!("runs since {}", span(job.observed_at - at)))
            }
            JobState::Completed | JobState::Cancelled => ran,
            _ => job.why_not_running.map(|why| why.message),
        };
        Self {
            id: job.id.to_string(),
            state: job.state.as_str(),
            kind: job.kind,
            tenant: job.tenant,
            queue: job.queue,
            args: in_short(&job.args),
            attempts: format!("{} of {}", job.attempt, job.max_attempts),
            created: When::new(job.created_at, job.observed_at),
            remark: remark.unwrap_or_default(),
        }
    }
}

/// Arguments on one line: `date 2026-01-20`. The tenant has a column of its own.
fn in_short(args: &Value) -> String {
    let Some(args) = args.as_object() else { return String::new() };
    let words = args.iter().filter(|(name, _)| *name != "tenant").map(|(name, value)| match value {
        Value::String(text) => format!("{name} {text}"),
        other => format!("{name} {other}"),
    });
    let all = words.collect::<Vec<_>>().join(", ");
    match all.char_indices().nth(SHORT) {
        Some((end, _)) => format!("{}…", &all[..end]),
        None => all,
    }
}

/// A box of the filter.
struct StateBox {
    name: &'static str,
    checked: bool,
}

/// The filter as it was given, to be shown again and to be sent with an action.
struct Asked {
    pairs: Vec<(String, String)>,
}

impl Asked {
    /// What a query or a form says. `arg=name=value`, as the filter's form sends it, means `args.name=value`.
    fn new(pairs: Vec<(String, String)>) -> Self {
        let pairs = pairs.into_iter().filter(|(name, _)| name != "before").map(|(name, value)| {
            match value.split_once('=') {
                Some((argument, wanted)) if name == "arg" => {
                    (format!("args.{}", argument.trim()), wanted.trim().to_owned())
                }
                _ => (name, value),
            }
        });
        Self { pairs: pairs.collect() }
    }

    fn of(&self, wanted: &str) -> &str {
        self.pairs.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value)
    }

    /// The day that is asked for, by its own name or as an argument.
    fn day(&self) -> &str {
        Some(self.of("date")).filter(|day| !day.is_empty()).unwrap_or(self.of("args.date"))
    }

    /// The first argument that is asked for, as the form has it.
    fn argument(&self) -> String {
        let mut args =
            self.arguments().filter_map(|(name, value)| Some((name.strip_prefix("args.")?, value)));
        args.next().map(|(name, value)| format!("{name}={value}")).unwrap_or_default()
    }

    /// Those that are asked for, but for the day, which has a field of its own.
    fn arguments(&self) -> impl Iterator<Item = &(String, String)> {
        self.pairs.iter().filter(|(name, _)| name.starts_with("args.") && name != "args.date")
    }

    /// What the form has no field for, and keeps: further arguments, a failure, single jobs.
    fn kept(&self) -> impl Iterator<Item = &(String, String)> {
        let single = self.pairs.iter().filter(|(name, _)| name == "failure_id" || name == "id");
        self.arguments().skip(1).chain(single)
    }

    /// As a query, with another page.
    fn query(&self, before: Option<i64>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.pairs);
        if let Some(before) = before {
            query.append_pair("before", &before.to_string());
        }
        query.finish()
    }
}

#[derive(Template)]
#[template(path = "jobs.html")]
struct JobsPage {
    frame: Frame,
    asked: Asked,
    states: Vec<StateBox>,
    rows: String,
    empty: bool,
    /// The newest are on it, so that newer ones belong above.
    first: bool,
    older: Option<String>,
    filtered: bool,
    /// Kind, code and pattern of the failure that is asked for.
    failure: Option<(String, String, String)>,
}

#[derive(Template)]
#[template(path = "job_rows.html")]
struct Rows {
    rows: Vec<Row>,
    may_act: bool,
}

/// The filter of a query or a form; the tenant by its name.
async fn read(api: &Api, mut fields: Fields) -> Result<(JobFilter, Option<i64>), Refusal> {
    let filter = take_filter(&mut fields);
    let tenant: Option<TenantName> = fields.get("tenant_id");
    let before = fields.in_range("before", 1..=i64::MAX);
    fields.finish(Some(()))?;
    Ok((resolved(api, filter, tenant.as_ref()).await?, before))
}

/// Where a page of the list stands: its rows, and where the next one begins.
struct Part {
    rows: Rows,
    next: Option<i64>,
}

async fn look(
    viewer: &Viewer,
    filter: &JobFilter,
    before: Option<i64>,
    may_act: bool,
) -> Result<Part, Problem> {
    let listed = viewer.list(filter, before, ON_A_PAGE).await?;
    let rows = viewer.resources(listed.rows).await?.into_iter().map(Row::new).collect();
    Ok(Part { rows: Rows { rows, may_act }, next: listed.next })
}

pub(super) async fn list(
    State(api): State<Api>,
    session: Session,
    context: RequestContext,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let pairs = filled(query.unwrap_or_default().as_bytes());
    let before: Vec<_> = pairs.iter().filter(|(name, _)| name == "before").cloned().collect();
    let asked = Asked::new(pairs);
    let refuse = |refusal: Refusal| refusal.for_session(&session);
    let fields = Fields::of_pairs([asked.pairs.clone(), before].concat());
    let (filter, before) = read(&api, fields).await.map_err(refuse)?;
    let frame = Frame::new(&session, "/jobs");
    let viewer = Viewer::service(&api, &context);
    let part = look(&viewer, &filter, before, frame.may_act).await;
    let Part { rows, next } = part.map_err(|problem| refuse(problem.into()))?;
    let failure = match filter.failure {
        Some(id) => failures::get(&mut *api.pool.acquire().await?, id).await?,
        None => None,
    };
    let checked = |state: JobState| filter.states.as_ref().is_some_and(|states| states.contains(&state));
    Ok(page(&JobsPage {
        frame,
        states: JobState::ALL.map(|state| StateBox { name: state.as_str(), checked: checked(state) }).into(),
        empty: rows.rows.is_empty(),
        rows: rows.render()?,
        first: before.is_none(),
        older: next.map(|before| asked.query(Some(before))),
        filtered: filter != JobFilter::default(),
        failure,
        asked,
    }))
}

/// The newest rows alone, for a list that is open; the same for all who look at the same jobs.
pub(super) async fn rows(
    State(api): State<Api>,
    session: Session,
    context: RequestContext,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let asked = Asked::new(filled(query.unwrap_or_default().as_bytes()));
    let may_act = session.user.role >= Role::Operator;
    let name = format!("jobs {may_act} {}", asked.query(None));
    let rows = api.shared.get(&name, FRESH, async || {
        let (filter, _) = read(&api, Fields::of_pairs(asked.pairs.clone())).await?;
        let part = look(&Viewer::service(&api, &context), &filter, None, may_act).await?;
        Ok(part.rows.render()?)
    });
    Ok(Html(rows.await.map_err(|refusal| refusal.for_session(&session))?.to_string()).into_response())
}

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
    let asked = Asked { pairs: fields.pairs().to_vec() };
    if selected && is_blank(asked.of("id")) {
        let detail = "Tick the jobs that are meant, in the first column of the list.";
        return Err(refuse(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "No job is selected", detail)));
    }
    let (filter, _) = read(&api, fields).await.map_err(refuse)?;
    let refused = |error: weirgate_jobs::BulkRefused| {
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
    actor.note_bulk(&mut tx, &bulk, target, job).await?;
    tx.commit().await?;
    Ok(Redirect::to(&format!("/dashboard/jobs/{job}")).into_response())
}
