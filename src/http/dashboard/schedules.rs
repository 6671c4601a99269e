//! What is done by the clock: when it was, when it will be, run it now, turn it on and off.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;
use weirgate_jobs::schedules;
use weirgate_queue::QueueError;
use weirgate_queue::schedule::{self, Change, Missed, Overview};

use super::session::{Form, Session, filled};
use super::view::{Frame, Refusal, When, page};
use crate::http::Api;
use crate::http::extract::Path;
use crate::http::job_list::tenant_of_filter;
use crate::http::params::{Fields, TenantName};
use crate::http::problem::Problem;
use crate::users::Role;

/// A run to come.
struct Run {
    at: When,
    tenant: Option<String>,
}

/// A schedule in the table.
struct Row {
    name: &'static str,
    description: &'static str,
    cron: String,
    zone: String,
    enabled: bool,
    /// Whether the leader does it itself.
    is_upkeep: bool,
    per_tenant: bool,
    missed: String,
    last: Option<When>,
    last_job: Option<Uuid>,
    next: Vec<Run>,
    problems: Vec<String>,
}

impl Row {
    fn new(overview: Overview, now: DateTime<Utc>) -> Self {
        let Overview { definition, settings, last_tick_at, last_job, next_runs, problems } = overview;
        let next = next_runs
            .into_iter()
            .map(|run| Run { at: When::new(run.at, now), tenant: run.tenant.map(|(_, name)| name) });
        Self {
            name: definition.name,
            description: definition.description,
            cron: settings.cron,
            zone: settings.time_zone.unwrap_or_else(|| "each tenant's own".to_owned()),
            enabled: settings.enabled,
            is_upkeep: definition.is_upkeep(),
            per_tenant: definition.per_tenant,
            missed: match settings.missed {
                Missed::Skip => "missed runs are skipped".to_owned(),
                Missed::One => "of missed runs, the newest is made up for".to_owned(),
                Missed::All => format!("up to {} missed runs are made up for", settings.missed_limit),
            },
            last: last_tick_at.map(|at| When::new(at, now)),
            last_job,
            next: next.collect(),
            problems,
        }
    }
}

#[derive(Template)]
#[template(path = "schedules.html")]
struct SchedulesPage {
    frame: Frame,
    rows: Vec<Row>,
    /// What was just run, and how many jobs stand for it.
    ran: Option<(String, i64)>,
}

pub(super) async fn list(
    State(api): State<Api>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let mut fields = Fields::of_pairs(filled(query.unwrap_or_default().as_bytes()));
    let (ran, jobs) = (fields.get::<String>("ran"), fields.in_range("jobs", 0..=i64::MAX));
    fields.finish(Some(())).map_err(|problem| Refusal::from(problem).for_session(&session))?;
    let mut conn = api.pool.acquire().await?;
    let all = schedule::overview(&mut conn, &schedules()).await?;
    let now = sqlx::query_scalar!(r#"select queue.now() as "now!""#).fetch_one(&mut *conn).await?;
    Ok(page(&SchedulesPage {
        frame: Frame::new(&session, "/schedules"),
        rows: all.into_iter().map(|it| Row::new(it, now)).collect(),
        ran: ran.zip(jobs),
    }))
}

/// Enqueues what a tick would: for one tenant or for all.
pub(super) async fn run(
    State(api): State<Api>,
    Path(name): Path<String>,
    form: Form,
) -> Result<Response, Refusal> {
    form.require(Role::Operator)?;
    let Form { session, mut fields } = form;
    let refuse = |problem: Problem| Refusal::from(problem).for_session(&session);
    let named: Option<TenantName> = fields.get("tenant_id");
    fields.finish(Some(())).map_err(refuse)?;
    let tenant = match &named {
        Some(named) => Some(tenant_of_filter(&api, named).await.map_err(refuse)?),
        None => None,
    };
    let mut tx = api.pool.begin().await?;
    let jobs = schedule::run_now(&mut tx, &schedules(), &name, tenant).await;
    let jobs = jobs.map_err(|error| refuse(error.into()))?;
    let detail = json!({ "tenant": named.map(|named| named.0), "jobs": jobs });
    session.actor().note(&mut tx, "schedule.run", &name, &detail).await?;
    tx.commit().await?;
    let back = if let [job] = jobs.as_slice() {
        format!("/dashboard/jobs/{job}")
    } else {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("ran", &name).append_pair("jobs", &jobs.len().to_string());
        format!("/dashboard/schedules?{}", query.finish())
    };
    Ok(Redirect::to(&back).into_response())
}

pub(super) async fn turn_on(state: State<Api>, name: Path<String>, form: Form) -> Result<Response, Refusal> {
    turn(state, name, form, true).await
}

pub(super) async fn turn_off(state: State<Api>, name: Path<String>, form: Form) -> Result<Response, Refusal> {
    turn(state, name, form, false).await
}

async fn turn(
    State(api): State<Api>,
    Path(name): Path<String>,
    form: Form,
    enabled: bool,
) -> Result<Response, Refusal> {
    form.require(Role::Operator)?;
    let Some(definition) = schedules().definitions().into_iter().find(|it| it.name == name) else {
        return Err(Refusal::from(QueueError::UnknownSchedule(name)).for_session(&form.session));
    };
    let mut tx = api.pool.begin().await?;
    let change = Change { enabled: Some(enabled), ..Change::default() };
    schedule::change(&mut tx, &definition, &change).await?;
    let action = if enabled { "schedule.on" } else { "schedule.off" };
    form.session.actor().note(&mut tx, action, &name, &json!({})).await?;
    tx.commit().await?;
    Ok(Redirect::to("/dashboard/schedules").into_response())
}
