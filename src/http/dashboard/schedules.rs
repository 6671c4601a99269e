//! What is done by the clock: when it was, when it will be, run it now, turn it on and off.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use uuid::Uuid;
use weirgate_queue::QueueError;
use weirgate_queue::schedule::{self, Definition, Missed, Overview};

use super::confirm::Confirm;
use super::session::{Form, Session, filled};
use super::view::{Frame, Path, Refusal, When, page};
use super::words::of;
use crate::http::Api;
use crate::http::params::{Fields, TenantName};
use crate::http::problem::Problem;
use crate::schedules::{self, run_now};
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
    let all = schedule::overview(&mut conn, &weirgate_jobs::schedules()).await?;
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
    let confirmed = fields.get("confirmed").unwrap_or(false);
    fields.finish(Some(())).map_err(refuse)?;
    let definition = known(&name).map_err(|refusal| refusal.for_session(&session))?;
    if definition.per_tenant && named.is_none() && !confirmed {
        return run_for_all(&api, &session, &definition).await;
    }
    let mut tx = api.pool.begin().await?;
    let named = named.as_ref().map(|named| named.0.as_str());
    let jobs = run_now(&mut tx, &session.actor(), &name, named).await;
    let jobs = jobs.map_err(|refused| refuse(refused.into()))?;
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

/// First says what no longer happens.
pub(super) async fn turn_off(state: State<Api>, name: Path<String>, form: Form) -> Result<Response, Refusal> {
    turn(state, name, form, false).await
}

fn known(name: &str) -> Result<Definition, Refusal> {
    let known = weirgate_jobs::schedules().definitions().into_iter().find(|it| it.name == name);
    known.ok_or_else(|| QueueError::UnknownSchedule(name.to_owned()).into())
}

/// Asks before it enqueues a job for each tenant.
async fn run_for_all(api: &Api, session: &Session, definition: &Definition) -> Result<Response, Refusal> {
    let tenants = sqlx::query_scalar!(r#"select count(*) as "count!" from tenants where is_active"#)
        .fetch_one(&api.pool)
        .await?;
    let Definition { name, description, .. } = definition;
    let asked = Confirm {
        frame: Frame::new(session, "/schedules"),
        title: format!("Run {name} now for all tenants?"),
        happens: vec![
            format!("{name}: {description}"),
            format!(
                "It is enqueued for each of {}, as at its time. When it runs by the clock does not change.",
                of(tenants, "active tenant", "active tenants")
            ),
        ],
        action: format!("/dashboard/schedules/{name}/run"),
        fields: Vec::new(),
        yes: "Run it for all tenants".to_owned(),
        back: "/dashboard/schedules".to_owned(),
    };
    Ok(asked.ask())
}

/// Asks before nothing of it happens any more.
fn ask_to_turn_off(session: &Session, definition: &Definition) -> Response {
    let Definition { name, description, .. } = definition;
    let without = if definition.is_upkeep() {
        "The engine relies on it: what it does stays undone until it is turned on again."
    } else {
        "Nothing is enqueued by the clock until it is turned on again; what is due meanwhile is missed."
    };
    let asked = Confirm {
        frame: Frame::new(session, "/schedules"),
        title: format!("Turn {name} off?"),
        happens: vec![format!("{name}: {description}"), without.to_owned()],
        action: format!("/dashboard/schedules/{name}/off"),
        fields: Vec::new(),
        yes: format!("Turn {name} off"),
        back: "/dashboard/schedules".to_owned(),
    };
    asked.ask()
}

async fn turn(
    State(api): State<Api>,
    Path(name): Path<String>,
    form: Form,
    enabled: bool,
) -> Result<Response, Refusal> {
    form.require(Role::Operator)?;
    let Form { session, mut fields } = form;
    let definition = known(&name).map_err(|refusal| refusal.for_session(&session))?;
    if !enabled && !fields.get("confirmed").unwrap_or(false) {
        return Ok(ask_to_turn_off(&session, &definition));
    }
    let mut tx = api.pool.begin().await?;
    schedules::turn(&mut tx, &session.actor(), &definition, enabled).await?;
    tx.commit().await?;
    Ok(Redirect::to("/dashboard/schedules").into_response())
}
