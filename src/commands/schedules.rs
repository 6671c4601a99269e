//! `schedules`: what is done by the clock.

use anyhow::{Context, anyhow, bail};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;
use weirgate_identity::TenantsError;
use weirgate_identity::audit::{self, Actor, Subject};
use weirgate_queue::schedule::{self, Definition, ScheduleChange, ScheduleOverview};

use super::door::{Door, Local};
use super::remote;
use super::session::Session;
use super::table::table;
use super::tenant::no_tenant;
use crate::cli::{Schedules, SetSchedule};
use crate::output::say;
use crate::pauses::{Pausable, set_paused};
use crate::schedules::{self, Refused};

pub(super) async fn run(command: Schedules, session: &Session) -> anyhow::Result<()> {
    session.with_door("schedules", async |door| act(command, door).await).await
}

async fn act(command: Schedules, door: Door<'_>) -> anyhow::Result<()> {
    match command {
        Schedules::List => print_list(match door {
            Door::Database(database) => {
                let mut conn = database.pool.acquire().await?;
                let all = schedule::overview(&mut conn, database.catalog.schedules()).await?;
                all.into_iter().map(Schedule::from).collect()
            }
            Door::Server(client) => remote::schedules::list(client).await?,
        }),
        Schedules::Run { name, tenant } => {
            let (jobs, count) = match door {
                Door::Database(database) => {
                    let jobs = run_now(&database, &name, tenant.as_deref()).await?;
                    let count = jobs.len();
                    (jobs, count)
                }
                Door::Server(client) => remote::schedules::run(client, &name, tenant.as_deref()).await?,
            };
            print_run(&name, &jobs, count)
        }
        Schedules::Set(options) => set(door, options).await,
        Schedules::Pause { name } => pause(door, &name, true).await,
        Schedules::Resume { name } => pause(door, &name, false).await,
    }
}

/// A schedule as commands show it.
#[derive(Deserialize)]
pub(super) struct Schedule {
    name: String,
    cron: String,
    time_zone: Option<String>,
    enabled: bool,
    last_tick_at: Option<DateTime<Utc>>,
    next_runs: Vec<NextRun>,
    problems: Vec<String>,
}

/// A run to come.
#[derive(Deserialize)]
struct NextRun {
    at: DateTime<Utc>,
    tenant: Option<String>,
}

impl From<ScheduleOverview> for Schedule {
    fn from(overview: ScheduleOverview) -> Self {
        let ScheduleOverview { definition, settings, last_tick_at, next_runs, problems, .. } = overview;
        let next_run =
            |run: schedule::UpcomingRun| NextRun { at: run.at, tenant: run.tenant.map(|(_, slug)| slug) };
        Self {
            name: definition.name.to_owned(),
            cron: settings.cron,
            time_zone: settings.time_zone,
            enabled: settings.enabled,
            last_tick_at,
            next_runs: next_runs.into_iter().map(next_run).collect(),
            problems,
        }
    }
}

async fn run_now(database: &Local<'_>, name: &str, name_or_id: Option<&str>) -> anyhow::Result<Vec<Uuid>> {
    definition(database, name)?;
    let mut tx = database.pool.begin().await?;
    let jobs =
        schedules::run_now(&mut tx, &Actor::cli(), database.catalog.schedules(), name, name_or_id).await;
    let jobs = jobs.map_err(|refused| match refused {
        Refused::Tenant(TenantsError::Unknown(_)) => {
            no_tenant(name_or_id.unwrap_or_default()).context("--tenant")
        }
        Refused::Tenant(error) => anyhow!(error).context("--tenant"),
        Refused::Schedule(error) => error.into(),
    })?;
    tx.commit().await?;
    Ok(jobs)
}

/// `count` of them in all; a server names the first ones.
fn print_run(name: &str, jobs: &[Uuid], count: usize) -> anyhow::Result<()> {
    if count == 0 {
        return say!("{name} has nothing to do at present; nothing was enqueued");
    }
    for job in jobs {
        say!("{job}")?;
    }
    if count > jobs.len() {
        say!("and {} more", count - jobs.len())?;
    }
    Ok(())
}

async fn set(door: Door<'_>, options: SetSchedule) -> anyhow::Result<()> {
    let SetSchedule { name, cron, time_zone, missed, missed_limit } = options;
    let time_zone = time_zone.map(|zone| (zone != "each").then_some(zone));
    let change = ScheduleChange { cron, time_zone, enabled: None, missed, missed_limit };
    if change == ScheduleChange::default() {
        bail!("give at least one of --cron, --time-zone, --missed and --missed-limit");
    }
    print_list(match door {
        Door::Database(database) => vec![set_in_database(&database, &name, &change).await?],
        Door::Server(client) => vec![remote::schedules::change(client, &name, &change).await?],
    })
}

async fn set_in_database(
    database: &Local<'_>,
    name: &str,
    change: &ScheduleChange,
) -> anyhow::Result<Schedule> {
    let definition = definition(database, name)?;
    let mut tx = database.pool.begin().await?;
    let wrong = schedule::validate(&mut tx, &definition, change).await?;
    if !wrong.is_empty() {
        let option = |field: &str| format!("--{}", field.replace('_', "-"));
        let wrong: Vec<_> = wrong.iter().map(|it| format!("{}: {}", option(it.field), it.message)).collect();
        bail!("{}", wrong.join("; "));
    }
    let noted = audit::Change::begin(&mut tx, Subject::Schedule(&definition)).await?;
    schedule::update_settings(&mut tx, &definition, change).await?;
    let all = schedule::overview(&mut tx, database.catalog.schedules()).await?;
    let now =
        all.into_iter().find(|it| it.definition.name == name).context("the schedule is not in the list")?;
    noted.note(&mut tx, &Actor::cli(), "schedule.change", &change.field_names()).await?;
    tx.commit().await?;
    Ok(now.into())
}

fn definition(database: &Local<'_>, name: &str) -> anyhow::Result<Definition> {
    let definitions = database.catalog.schedules().definitions();
    let names: Vec<_> = definitions.iter().map(|it| it.name).collect();
    let names = names.join(", ");
    let found = definitions.into_iter().find(|it| it.name == name);
    found.with_context(|| format!("no schedule {name:?}; known schedules: {names}"))
}

async fn pause(door: Door<'_>, name: &str, paused: bool) -> anyhow::Result<()> {
    match door {
        Door::Database(database) => {
            let definition = definition(&database, name)?;
            let mut tx = database.pool.begin().await?;
            set_paused(&mut tx, &Actor::cli(), Pausable::Schedule(&definition), paused).await?;
            tx.commit().await?;
        }
        Door::Server(client) => remote::schedules::pause(client, name, paused).await?,
    }
    say!("{name} is {}", if paused { "paused" } else { "active" })
}

fn print_list(schedules: Vec<Schedule>) -> anyhow::Result<()> {
    let mut table = table(&["NAME", "CRON", "TIME ZONE", "STATE", "LAST TICK", "NEXT RUN"]);
    let mut problems = Vec::new();
    for Schedule { name, cron, time_zone, enabled, last_tick_at, next_runs, problems: wrong } in schedules {
        let time = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let next = next_runs.first().map(|run| match &run.tenant {
            Some(tenant) => format!("{} {tenant}", time(run.at)),
            None => time(run.at),
        });
        problems.extend(wrong.into_iter().map(|problem| format!("{name}: {problem}")));
        table.add_row([
            name,
            cron,
            time_zone.unwrap_or_else(|| "each tenant's".to_owned()),
            if enabled { "active" } else { "paused" }.to_owned(),
            last_tick_at.map(time).unwrap_or_default(),
            next.unwrap_or_default(),
        ]);
    }
    say!("{table}")?;
    for problem in problems {
        say!("{problem}")?;
    }
    Ok(())
}
