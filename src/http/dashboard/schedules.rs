//! What is done by the clock: when it was, when it will be, run it now, turn it on and off.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use uuid::Uuid;
use weirgate_identity::platform::Role;
use weirgate_queue::QueueError;
use weirgate_queue::schedule::{self, Definition, Missed, ScheduleOverview};
use weirgate_web::dashboard::confirm::Confirm;
use weirgate_web::dashboard::form::{Field, Given, TENANTS, Wrong};
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::{Path, Refusal};
use weirgate_web::dashboard::sent::{Form, filled};
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::suggest::Suggestions;
use weirgate_web::dashboard::when::When;
use weirgate_web::dashboard::words::of;
use weirgate_web::params::Fields;
use weirgate_web::parse::TenantName;
use weirgate_web::problem::Problem;

use crate::http::Api;
use crate::pauses::{Pausable, set_paused};
use crate::schedules::run_now;

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
    /// Of one that runs for tenants: for which one it is run now.
    tenant: Option<Field>,
    missed: String,
    last: Option<When>,
    last_job: Option<Uuid>,
    next: Vec<Run>,
    problems: Vec<String>,
}

impl Row {
    fn new(overview: ScheduleOverview, now: DateTime<Utc>) -> Self {
        let ScheduleOverview { definition, settings, last_tick_at, last_job, next_runs, problems } = overview;
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
            tenant: definition.per_tenant.then(|| tenant_field(definition.name, &Given::default())),
            missed: match settings.missed {
                Missed::Skip => "missed runs are skipped".to_owned(),
                Missed::One => "catches up on the newest missed run".to_owned(),
                Missed::All => format!("catches up on at most {} missed runs", settings.missed_limit),
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
    suggestions: Suggestions,
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
    let shown = SchedulesPage::load(&api, &session, ran.zip(jobs)).await;
    Ok(page(&shown.map_err(|refusal| refusal.for_session(&session))?))
}

impl SchedulesPage {
    async fn load(api: &Api, session: &Session, ran: Option<(String, i64)>) -> Result<Self, Refusal> {
        let mut conn = api.pool.acquire().await?;
        let all = schedule::overview(&mut conn, api.catalog.schedules()).await?;
        let now = sqlx::query_scalar!(r#"select queue.now() as "now!""#).fetch_one(&mut *conn).await?;
        Ok(Self {
            frame: Frame::new(session, "/schedules"),
            rows: all.into_iter().map(|it| Row::new(it, now)).collect(),
            suggestions: Suggestions::of_tenants(&mut conn).await?,
            ran,
        })
    }
}

fn tenant_field(schedule: &str, given: &Given) -> Field {
    let label = format!("Tenant to run {schedule} for (empty: all)");
    given.field("tenant_id", label).suggesting(TENANTS).with_placeholder("all tenants").heard()
}

/// The same page, with what is wrong with the tenant that was named beside it.
async fn run_refused(
    api: &Api,
    session: &Session,
    name: &str,
    asked: Vec<(String, String)>,
    problem: Problem,
) -> Result<Response, Refusal> {
    let refuse = |refusal: Refusal| refusal.for_session(session);
    let wrong = Wrong::of(problem, "tenant_id").map_err(refuse)?;
    let mut shown = SchedulesPage::load(api, session, None).await.map_err(refuse)?;
    let given = Given::new(asked, Some(&wrong));
    for row in shown.rows.iter_mut().filter(|row| row.name == name) {
        row.tenant = row.tenant.is_some().then(|| tenant_field(name, &given));
    }
    Ok(wrong.page(&shown))
}

/// Enqueues what a tick would: for one tenant or for all.
pub(super) async fn run(
    State(api): State<Api>,
    Path(name): Path<String>,
    form: Form,
) -> Result<Response, Refusal> {
    form.require(Role::Operator)?;
    let Form { session, mut fields } = form;
    let asked = fields.pairs().to_vec();
    let named: Option<TenantName> = fields.get("tenant_id");
    let confirmed = fields.get("confirmed").unwrap_or(false);
    let definition = known(&api, &name).map_err(|refusal| refusal.for_session(&session))?;
    if let Err(problem) = fields.finish(Some(())) {
        return run_refused(&api, &session, &name, asked, problem).await;
    }
    if definition.per_tenant && named.is_none() && !confirmed {
        return run_for_all(&api, &session, &definition).await;
    }
    let mut tx = api.pool.begin().await?;
    let named = named.as_ref().map(|named| named.0.as_str());
    let jobs = match run_now(&mut tx, &session.actor(), api.catalog.schedules(), &name, named).await {
        Ok(jobs) => jobs,
        Err(refused) => {
            drop(tx);
            return run_refused(&api, &session, &name, asked, refused.into()).await;
        }
    };
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

pub(super) async fn pause(state: State<Api>, name: Path<String>, form: Form) -> Result<Response, Refusal> {
    pause_or_resume(state, name, form, true).await
}

pub(super) async fn resume(state: State<Api>, name: Path<String>, form: Form) -> Result<Response, Refusal> {
    pause_or_resume(state, name, form, false).await
}

fn known(api: &Api, name: &str) -> Result<Definition, Refusal> {
    let known = api.catalog.schedules().definitions().into_iter().find(|it| it.name == name);
    known.ok_or_else(|| QueueError::UnknownSchedule(name.to_owned()).into())
}

/// Asks before it enqueues a job for each tenant.
async fn run_for_all(api: &Api, session: &Session, definition: &Definition) -> Result<Response, Refusal> {
    let tenants = sqlx::query_scalar!(r#"select count(*) as "count!" from identity.tenants where is_active"#)
        .fetch_one(&api.pool)
        .await?;
    let Definition { name, description, .. } = definition;
    let asked = Confirm {
        frame: Frame::new(session, "/schedules"),
        title: format!("Run {name} for all tenants"),
        happens: vec![
            format!("{name}: {description}"),
            format!(
                "It is enqueued for {}, as at its scheduled time. Its schedule does not change.",
                of(tenants, "active tenant", "active tenants")
            ),
        ],
        details: Vec::new(),
        action: format!("/dashboard/schedules/{name}/run"),
        fields: Vec::new(),
        yes: "Run for all tenants".to_owned(),
        back: "/dashboard/schedules".to_owned(),
    };
    Ok(asked.ask())
}

/// What a pause of a schedule does, or its end.
fn pause_effect(definition: &Definition, paused: bool) -> Vec<String> {
    let effect = match (paused, definition.is_upkeep()) {
        (true, true) => "The engine relies on it: what it does stays undone until it is resumed.",
        (true, false) => "It enqueues nothing until it is resumed. Runs missed meanwhile are not made up.",
        (false, _) => "It runs again from its next time on. Runs missed while it was paused are not made up.",
    };
    vec![format!("{}: {}.", definition.name, definition.description), effect.to_owned()]
}

/// First says what will happen; once confirmed, does it.
async fn pause_or_resume(
    State(api): State<Api>,
    Path(name): Path<String>,
    form: Form,
    paused: bool,
) -> Result<Response, Refusal> {
    form.require(Role::Operator)?;
    let definition = known(&api, &name).map_err(|refusal| refusal.for_session(&form.session))?;
    let (session, confirmed) = form.confirmed()?;
    if !confirmed {
        let frame = Frame::new(&session, "/schedules");
        let path = format!("/dashboard/schedules/{name}");
        let happens = pause_effect(&definition, paused);
        let asked = Confirm::pause(frame, paused, &format!("schedule {name}"), &path, happens);
        return Ok(Confirm { back: "/dashboard/schedules".to_owned(), ..asked }.ask());
    }
    let mut tx = api.pool.begin().await?;
    set_paused(&mut tx, &session.actor(), Pausable::Schedule(&definition), paused).await?;
    tx.commit().await?;
    Ok(Redirect::to("/dashboard/schedules").into_response())
}
