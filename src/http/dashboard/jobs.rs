//! Jobs by filter, and what is done to all that match.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;
use weirgate_jobs::BulkJobs;
use weirgate_queue::bulk::BulkAction;
use weirgate_queue::query::JobFilter;
use weirgate_queue::{JobState, enqueue};

use super::act::note;
use super::session::{Form, Session, filled};
use super::view::{Frame, Refusal, When, page, span};
use crate::http::Api;
use crate::http::context::RequestContext;
use crate::http::follow::Viewer;
use crate::http::job::JobResource;
use crate::http::job_list::{take_filter, tenant_of_filter};
use crate::http::params::{Fields, TenantName};
use crate::users::Role;

const ON_A_PAGE: i64 = 50;

/// A job in the list.
struct Row {
    id: String,
    state: &'static str,
    kind: String,
    tenant: String,
    queue: String,
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
            attempts: format!("{} of {}", job.attempt, job.max_attempts),
            created: When::new(job.created_at, job.observed_at),
            remark: remark.unwrap_or_default(),
        }
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
    fn of(&self, wanted: &str) -> &str {
        self.pairs.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value)
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
    rows: Vec<Row>,
    older: Option<String>,
    filtered: bool,
}

/// The filter of a query or a form; the tenant by its name.
async fn read(api: &Api, mut fields: Fields) -> Result<(JobFilter, Option<i64>), Refusal> {
    let mut filter = take_filter(&mut fields);
    let tenant: Option<TenantName> = fields.get("tenant_id");
    let before = fields.in_range("before", 1..=i64::MAX);
    fields.finish(Some(()))?;
    if let Some(tenant) = tenant {
        filter.tenant = Some(tenant_of_filter(api, &tenant).await?);
    }
    Ok((filter, before))
}

pub(super) async fn list(
    State(api): State<Api>,
    session: Session,
    context: RequestContext,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let pairs = filled(query.unwrap_or_default().as_bytes());
    let asked = Asked { pairs: pairs.iter().filter(|(name, _)| name != "before").cloned().collect() };
    let refuse = |refusal: Refusal| refusal.for_session(&session);
    let (filter, before) = read(&api, Fields::of_pairs(pairs)).await.map_err(refuse)?;
    let viewer = Viewer::service(&api, &context);
    let listed = viewer.list(&filter, before, ON_A_PAGE).await.map_err(|problem| refuse(problem.into()))?;
    let rows = viewer.resources(listed.rows).await.map_err(|problem| refuse(problem.into()))?;
    let checked = |state: JobState| filter.states.as_ref().is_some_and(|states| states.contains(&state));
    Ok(page(&JobsPage {
        frame: Frame::new(&session, "/jobs"),
        states: JobState::ALL.map(|state| StateBox { name: state.as_str(), checked: checked(state) }).into(),
        rows: rows.into_iter().map(Row::new).collect(),
        older: listed.next.map(|before| asked.query(Some(before))),
        filtered: filter != JobFilter::default(),
        asked,
    }))
}

#[derive(Template)]
#[template(path = "bulk.html")]
struct BulkPage {
    frame: Frame,
    asked: Asked,
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
    let asked = Asked { pairs: fields.pairs().to_vec() };
    let (filter, _) = read(&api, fields).await.map_err(refuse)?;
    let refused = |error: weirgate_jobs::BulkRefused| {
        refuse(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "Nothing was done", error.to_string()))
    };
    let bulk = BulkJobs::new(action, filter, false).map_err(refused)?;
    if !confirmed {
        let count = bulk.count(&api.pool).await?;
        let frame = Frame::new(&session, "/jobs");
        let (count, exact) = (count.count, count.exact);
        return Ok(page(&BulkPage { frame, asked, action: action.as_str(), count, exact }));
    }
    let mut tx = api.pool.begin().await?;
    let job = enqueue(&mut tx, vec![bulk.job()?]).await?[0].id;
    let detail = json!({ "job": job, "filter": bulk.filter });
    note(&mut tx, &session.user, &format!("jobs.{action}"), "all that match", &detail).await?;
    tx.commit().await?;
    Ok(Redirect::to(&format!("/dashboard/jobs/{job}")).into_response())
}
