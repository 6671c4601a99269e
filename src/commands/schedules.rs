//! `schedules`: what is done by the clock.

use anyhow::{Context, anyhow, bail};
use sqlx::PgPool;
use weirgate_jobs::TenantsError;
use weirgate_queue::schedule::{self, Change, Definition, Overview};

use super::session::Session;
use super::{no_tenant, table};
use crate::audit::{self, Actor, Subject};
use crate::cli::{Schedules, SetSchedule};
use crate::output::say;
use crate::schedules::{self, Refused};

pub(super) async fn run(command: Schedules, session: &Session) -> anyhow::Result<()> {
    session.with_database("schedules", async |database| act(command, &database.pool).await).await
}

async fn act(command: Schedules, pool: &PgPool) -> anyhow::Result<()> {
    match command {
        Schedules::List => {
            print_list(schedule::overview(&mut *pool.acquire().await?, &weirgate_jobs::schedules()).await?)
        }
        Schedules::Run { name, tenant } => run_now(pool, &name, tenant.as_deref()).await,
        Schedules::Set(options) => set(pool, options).await,
        Schedules::Pause { name } => enable(pool, &name, false).await,
        Schedules::Resume { name } => enable(pool, &name, true).await,
    }
}

async fn run_now(pool: &PgPool, name: &str, name_or_id: Option<&str>) -> anyhow::Result<()> {
    definition(name)?;
    let mut tx = pool.begin().await?;
    let jobs = schedules::run_now(&mut tx, &Actor::cli(), name, name_or_id).await;
    let jobs = jobs.map_err(|refused| match refused {
        Refused::Tenant(TenantsError::Unknown(_)) => {
            no_tenant(name_or_id.unwrap_or_default()).context("--tenant")
        }
        Refused::Tenant(error) => anyhow!(error).context("--tenant"),
        Refused::Schedule(error) => error.into(),
    })?;
    tx.commit().await?;
    if jobs.is_empty() {
        return say!("{name} is for no tenant at present, so that nothing was enqueued");
    }
    for job in jobs {
        say!("{job}")?;
    }
    Ok(())
}

async fn set(pool: &PgPool, options: SetSchedule) -> anyhow::Result<()> {
    let SetSchedule { name, cron, time_zone, missed, missed_limit } = options;
    let definition = definition(&name)?;
    let time_zone = time_zone.map(|zone| (zone != "each").then_some(zone));
    let change = Change { cron, time_zone, enabled: None, missed, missed_limit };
    if change == Change::default() {
        bail!("name at least one of --cron, --time-zone, --missed and --missed-limit");
    }
    let mut tx = pool.begin().await?;
    let wrong = schedule::check(&mut tx, &definition, &change).await?;
    if !wrong.is_empty() {
        let option = |field: &str| format!("--{}", field.replace('_', "-"));
        let wrong: Vec<_> = wrong.iter().map(|it| format!("{}: {}", option(it.field), it.message)).collect();
        bail!("{}", wrong.join("; "));
    }
    let noted = audit::Change::begin(&mut tx, Subject::Schedule(&definition)).await?;
    schedule::change(&mut tx, &definition, &change).await?;
    let all = schedule::overview(&mut tx, &weirgate_jobs::schedules()).await?;
    let all: Vec<_> = all.into_iter().filter(|it| it.definition.name == name).collect();
    noted.note(&mut tx, &Actor::cli(), "schedule.change", &change.named()).await?;
    tx.commit().await?;
    print_list(all)
}

fn definition(name: &str) -> anyhow::Result<Definition> {
    let definitions = weirgate_jobs::schedules().definitions();
    let names: Vec<_> = definitions.iter().map(|it| it.name).collect();
    let names = names.join(", ");
    let found = definitions.into_iter().find(|it| it.name == name);
    found.with_context(|| format!("no schedule {name:?}; there are: {names}"))
}

async fn enable(pool: &PgPool, name: &str, enabled: bool) -> anyhow::Result<()> {
    let definition = definition(name)?;
    let mut tx = pool.begin().await?;
    schedules::turn(&mut tx, &Actor::cli(), &definition, enabled).await?;
    tx.commit().await?;
    say!("{name} is {}", if enabled { "on" } else { "paused" })
}

fn print_list(schedules: Vec<Overview>) -> anyhow::Result<()> {
    let mut table = table(&["NAME", "CRON", "TIME ZONE", "STATE", "LAST TICK", "NEXT RUN"]);
    let mut problems = Vec::new();
    for Overview { definition, settings, last_tick_at, next_runs, problems: wrong, .. } in schedules {
        let time = |at: chrono::DateTime<chrono::Utc>| at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let next = next_runs.first().map(|run| match &run.tenant {
            Some((_, tenant)) => format!("{} {tenant}", time(run.at)),
            None => time(run.at),
        });
        table.add_row([
            definition.name.to_owned(),
            settings.cron,
            settings.time_zone.unwrap_or_else(|| "each tenant's".to_owned()),
            if settings.enabled { "on" } else { "paused" }.to_owned(),
            last_tick_at.map(time).unwrap_or_default(),
            next.unwrap_or_default(),
        ]);
        problems.extend(wrong.into_iter().map(|problem| format!("{}: {problem}", definition.name)));
    }
    say!("{table}")?;
    for problem in problems {
        say!("{problem}")?;
    }
    Ok(())
}
