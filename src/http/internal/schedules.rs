//! `/internal/schedules`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;
use weirgate_identity::audit::{self, Actor, Subject};
use weirgate_queue::schedule::{self, Definition, ScheduleOverview, UpcomingRun};
use weirgate_web::client_address::ServiceActor;
use weirgate_web::extract::{Action, Body, Path, answered};
use weirgate_web::page::Page;
use weirgate_web::params::Query;
use weirgate_web::problem::{FieldError, Problem};

use crate::http::Api;
use crate::pauses::{Pausable, set_paused};
use crate::schedules;

/// A schedule.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Schedule {
    /// Permanent.
    #[schema(example = "daily_pipeline")]
    name: &'static str,
    description: &'static str,
    /// Whether the leader of the workers does it itself rather than enqueueing jobs.
    is_upkeep: bool,
    /// Whether it fires for each active tenant.
    per_tenant: bool,
    /// Second, minute, hour, day of month, month, day of week.
    #[schema(example = "0 15 0 * * *")]
    cron: String,
    /// IANA time zone that `cron` is read in; null: each tenant's own.
    #[schema(required = true, example = "Europe/Berlin")]
    time_zone: Option<String>,
    /// False while it is paused.
    enabled: bool,
    /// What happens to ticks that are over a minute late: `skip`, `one` (the newest) or `all`.
    missed: Missed,
    /// With `missed: all`, how many ticks at most, the newest.
    missed_limit: u16,
    /// The newest tick that fired. Of upkeep, when it was last done, to the minute.
    #[schema(required = true)]
    last_tick_at: Option<DateTime<Utc>>,
    /// The job that stands for what that tick enqueued.
    #[schema(required = true)]
    last_job_id: Option<Uuid>,
    /// The next ten; none while it is paused.
    next_runs: Vec<NextRun>,
    /// Why it, or a tenant's part of it, cannot run.
    problems: Vec<String>,
    /// When its settings were last changed; null before a worker has first seen it.
    #[schema(required = true)]
    updated_at: Option<DateTime<Utc>>,
}

/// A run to come.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NextRun {
    at: DateTime<Utc>,
    /// For whom; null for a schedule that is not per tenant.
    #[schema(required = true)]
    tenant_id: Option<Uuid>,
    /// Its slug.
    #[schema(required = true)]
    tenant: Option<String>,
}

/// What happens to ticks that are over a minute late.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MissedTicks)]
pub(crate) enum Missed {
    /// They are passed over.
    Skip,
    /// The newest fires, unless one that is in time does.
    One,
    /// All fire, oldest first, at most `missed_limit`.
    All,
}

/// What to change; a field that is not there stays as it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScheduleChange {
    /// Second, minute, hour, day of month, month, day of week; of five fields, the second is 0.
    #[schema(example = "0 30 1 * * *")]
    cron: Option<String>,
    /// IANA time zone; null for each tenant's own.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, example = "Europe/Berlin")]
    #[expect(clippy::option_option, reason = "null and absent mean different things")]
    time_zone: Option<Option<String>>,
    /// False pauses it, true resumes it: from then on, ticks of the past stay past.
    enabled: Option<bool>,
    missed: Option<Missed>,
    #[schema(minimum = 1, maximum = 1000)]
    missed_limit: Option<u16>,
}

/// Tells a null from a field that is not there.
#[expect(clippy::option_option, reason = "null and absent mean different things")]
fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

impl From<ScheduleOverview> for Schedule {
    fn from(overview: ScheduleOverview) -> Self {
        let ScheduleOverview { definition, settings, last_tick_at, last_job, next_runs, problems } = overview;
        Self {
            name: definition.name,
            description: definition.description,
            is_upkeep: definition.is_upkeep(),
            per_tenant: definition.per_tenant,
            cron: settings.cron,
            time_zone: settings.time_zone,
            enabled: settings.enabled,
            missed: settings.missed.into(),
            missed_limit: settings.missed_limit,
            last_tick_at,
            last_job_id: last_job,
            next_runs: next_runs.into_iter().map(NextRun::from).collect(),
            problems,
            updated_at: settings.updated_at,
        }
    }
}

impl From<UpcomingRun> for NextRun {
    fn from(UpcomingRun { at, tenant }: UpcomingRun) -> Self {
        let (tenant_id, tenant) = tenant.unzip();
        Self { at, tenant_id, tenant }
    }
}

impl From<schedule::Missed> for Missed {
    fn from(missed: schedule::Missed) -> Self {
        match missed {
            schedule::Missed::Skip => Self::Skip,
            schedule::Missed::One => Self::One,
            schedule::Missed::All => Self::All,
        }
    }
}

impl From<Missed> for schedule::Missed {
    fn from(missed: Missed) -> Self {
        match missed {
            Missed::Skip => Self::Skip,
            Missed::One => Self::One,
            Missed::All => Self::All,
        }
    }
}

impl From<ScheduleChange> for schedule::ScheduleChange {
    fn from(change: ScheduleChange) -> Self {
        let ScheduleChange { cron, time_zone, enabled, missed, missed_limit } = change;
        Self { cron, time_zone, enabled, missed: missed.map(schedule::Missed::from), missed_limit }
    }
}

/// Lists the schedules, by name, on one page.
#[utoipa::path(
    get, path = "/internal/schedules", tag = "Operation",
    responses((status = 200, description = "All schedules", body = Page<Schedule>))
)]
pub(crate) async fn list_schedules(
    State(api): State<Api>,
    Query(()): Query<()>,
) -> Result<Page<Schedule>, Problem> {
    let mut conn = api.pool.acquire().await?;
    let all = schedule::overview(&mut conn, api.catalog.schedules()).await?;
    Ok(Page::whole(all.into_iter().map(Schedule::from).collect()))
}

/// Changes a schedule: times, time zone, pause, what happens to missed ticks.
///
/// What it says survives restarts and new versions.
#[utoipa::path(
    put, path = "/internal/schedules/{name}", tag = "Operation",
    params(("name" = String, Path, description = "The schedule")), request_body = ScheduleChange,
    responses((status = 200, description = "The schedule as it is now", body = Schedule))
)]
pub(crate) async fn change_schedule(
    State(api): State<Api>,
    ServiceActor(actor): ServiceActor,
    Path(name): Path<String>,
    Query(()): Query<()>,
    Body(change): Body<ScheduleChange>,
) -> Result<Json<Schedule>, Problem> {
    let change = schedule::ScheduleChange::from(change);
    let definition = known(&api, &name)?;
    let mut tx = api.pool.begin().await?;
    let wrong = schedule::validate(&mut tx, &definition, &change).await?;
    if !wrong.is_empty() {
        let error =
            |it: schedule::InvalidSetting| FieldError { field: it.field.to_owned(), message: it.message };
        return Err(Problem::invalid(wrong.into_iter().map(error).collect()));
    }
    let noted = audit::Change::begin(&mut tx, Subject::Schedule(&definition)).await?;
    schedule::update_settings(&mut tx, &definition, &change).await?;
    noted.note(&mut tx, &actor, "schedule.change", &change.field_names()).await?;
    let now = read(&api, &mut tx, &name).await?;
    tx.commit().await?;
    Ok(now)
}

/// Pauses a schedule: it enqueues nothing until it is resumed. Its jobs continue.
#[utoipa::path(
    post, path = "/internal/schedules/{name}/pause", tag = "Operation",
    params(("name" = String, Path, description = "The schedule")),
    responses(
        (status = 200, description = "The schedule, paused", body = Schedule),
        (status = 404, description = "unknown_schedule")
    )
)]
pub(crate) async fn pause_schedule(
    State(api): State<Api>,
    ServiceActor(actor): ServiceActor,
    action: Action<String>,
) -> Result<Response, Problem> {
    pause_or_resume(&api, &actor, action, true).await
}

/// Resumes a paused schedule. Ticks that it has missed while it was paused are not made up.
#[utoipa::path(
    post, path = "/internal/schedules/{name}/resume", tag = "Operation",
    params(("name" = String, Path, description = "The schedule")),
    responses(
        (status = 200, description = "The schedule, resumed", body = Schedule),
        (status = 404, description = "unknown_schedule")
    )
)]
pub(crate) async fn resume_schedule(
    State(api): State<Api>,
    ServiceActor(actor): ServiceActor,
    action: Action<String>,
) -> Result<Response, Problem> {
    pause_or_resume(&api, &actor, action, false).await
}

async fn pause_or_resume(
    api: &Api,
    actor: &Actor,
    action: Action<String>,
    paused: bool,
) -> Result<Response, Problem> {
    let definition = known(api, &action.target)?;
    let mut tx = api.pool.begin().await?;
    let first = action.is_first(&mut tx).await?;
    if first {
        set_paused(&mut tx, actor, Pausable::Schedule(&definition), paused).await?;
    }
    let now = read(api, &mut tx, &action.target).await?;
    tx.commit().await?;
    Ok(answered(first, now))
}

/// For whom a schedule is run.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"tenant": "tenant_demo_cca"}))]
pub(crate) struct RunSchedule {
    /// The tenant's slug or UUID; all that the schedule is for when left out.
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9_-]{1,64}$", example = "tenant_demo_cca")]
    tenant: Option<String>,
}

/// What a run of a schedule has enqueued.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScheduleRun {
    /// How many jobs there are in `items`.
    enqueued: usize,
    /// The enqueued jobs, at most one for each of 500 tenants: of a pipeline, its last one.
    items: Vec<Uuid>,
    /// Whether the Idempotency-Key was used before; these are the jobs of then.
    replayed: bool,
}

/// Enqueues now what a schedule's next tick would, for one tenant or for all that it is for.
///
/// When it runs by the clock does not change, and one that is paused can be run, too.
#[utoipa::path(
    post, path = "/internal/schedules/{name}/run", tag = "Operation",
    params(("name" = String, Path, description = "The schedule")), request_body = RunSchedule,
    responses(
        (status = 202, description = "What it has enqueued", body = ScheduleRun),
        (status = 404, description = "unknown_schedule, unknown_tenant"),
        (status = 409, description = "tenant_inactive; cannot_run_now: it is maintenance that the leading worker does itself, or it is for too many tenants at once")
    )
)]
pub(crate) async fn run_schedule(
    State(api): State<Api>,
    ServiceActor(actor): ServiceActor,
    action: Action<String, RunSchedule>,
) -> Result<Response, Problem> {
    let mut tx = api.pool.begin().await?;
    let first = action.is_first(&mut tx).await?;
    let items = if first {
        let (schedules, tenant) = (api.catalog.schedules(), action.body.tenant.as_deref());
        let jobs = schedules::run_now(&mut tx, &actor, schedules, &action.target, tenant).await?;
        action.keep(&mut tx, &jobs).await?;
        jobs
    } else {
        action.kept(&mut tx).await?
    };
    tx.commit().await?;
    let run = ScheduleRun { enqueued: items.len(), items, replayed: !first };
    Ok(answered(first, (StatusCode::ACCEPTED, Json(run)).into_response()))
}

fn known(api: &Api, name: &str) -> Result<Definition, Problem> {
    let known = api.catalog.schedules().definitions().into_iter().find(|it| it.name == name);
    known.ok_or_else(|| unknown(name))
}

/// The schedule as it is now.
async fn read(api: &Api, conn: &mut PgConnection, name: &str) -> Result<Json<Schedule>, Problem> {
    let all = schedule::overview(conn, api.catalog.schedules()).await?;
    let found = all.into_iter().find(|it| it.definition.name == name);
    found.map(|it| Json(it.into())).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> Problem {
    let detail = format!("no schedule {name:?}; GET /internal/schedules lists them");
    Problem::not_found("unknown_schedule", "Unknown schedule", detail)
}

impl From<schedules::Refused> for Problem {
    fn from(refused: schedules::Refused) -> Self {
        match refused {
            schedules::Refused::Tenant(error) => error.into(),
            schedules::Refused::Schedule(error) => error.into(),
        }
    }
}
