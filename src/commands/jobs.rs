//! `jobs`: look at jobs and act on them.

use std::collections::HashMap;

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use weirgate_identity::audit::{Actor, Change, Subject};
use weirgate_identity::{SYSTEM_SLUG, SYSTEM_TENANT, Tenant};
use weirgate_queue::lanes::QueueViews;
use weirgate_queue::read::{self, JobFilter, JobRow};
use weirgate_queue::{JobState, control};

use super::door::Door;
use super::filter::job_filter;
use super::follow::report;
use super::job::{Job, JobReport};
use super::session::Session;
use super::table::{instant, say_table, table};
use super::{bulk, remote};
use crate::cli::{Filter, Jobs, ListJobs};
use crate::output::say;

pub(super) async fn run(command: Jobs, session: &Session) -> anyhow::Result<()> {
    session.with_door("jobs", async |door| act(command, door).await).await
}

async fn act(command: Jobs, door: Door<'_>) -> anyhow::Result<()> {
    match command {
        Jobs::List(ListJobs { filter, limit, json }) => {
            let jobs = match door {
                Door::Database(database) => stored(&database.pool, filter, limit).await?,
                Door::Server(client) => remote::jobs::list(client, &filter, usize::try_from(limit)?).await?,
            };
            print_list(jobs, json)
        }
        Jobs::Show { id } => {
            let shown = match door {
                Door::Database(database) => {
                    report(&QueueViews::new(database.pool.clone()), &mut *database.pool.acquire().await?, id)
                        .await?
                }
                Door::Server(client) => remote::jobs::show(client, id).await?,
            };
            say!("{}", serde_json::to_string_pretty(&shown)?)
        }
        Jobs::Retry { id } => {
            let state = match door {
                Door::Database(database) => retry(&database.pool, id).await?,
                Door::Server(client) => remote::jobs::act(client, id, "retry").await?,
            };
            say!("{id} is {state}")
        }
        Jobs::Cancel { id } => {
            let state = match door {
                Door::Database(database) => cancel(&database.pool, id).await?,
                Door::Server(client) => remote::jobs::act(client, id, "cancel").await?,
            };
            match state {
                JobState::Running => say!("{id} is running and was told to stop"),
                state => say!("{id} is {state}"),
            }
        }
        Jobs::Bulk(options) => bulk::run(options, door).await,
    }
}

async fn retry(pool: &PgPool, id: Uuid) -> anyhow::Result<JobState> {
    let mut tx = pool.begin().await?;
    let change = Change::begin(&mut tx, Subject::Job(id)).await?;
    let state = control::retry(&mut tx, id).await?;
    change.note(&mut tx, &Actor::cli(), "job.retry", &["state"]).await?;
    tx.commit().await?;
    Ok(state)
}

async fn cancel(pool: &PgPool, id: Uuid) -> anyhow::Result<JobState> {
    let mut tx = pool.begin().await?;
    let change = Change::begin(&mut tx, Subject::Job(id)).await?;
    let state = control::cancel(&mut tx, id).await?;
    change.note(&mut tx, &Actor::cli(), "job.cancel", &["state"]).await?;
    tx.commit().await?;
    Ok(state)
}

/// Jobs of the database.
async fn stored(pool: &PgPool, filter: Filter, limit: i64) -> anyhow::Result<Vec<Job>> {
    let filter = job_filter(filter, pool).await?;
    let mut tx = pool.begin().await?;
    let rows = list(&mut tx, &filter, limit).await?;
    let tenants = name_tenants(&mut tx, &rows).await?;
    let shown = rows.into_iter().map(|row| {
        let tenant = tenants.get(&row.tenant_id).cloned().unwrap_or_else(|| row.tenant_id.to_string());
        Ok(JobReport::of(row, None, None, &tenant)?.job)
    });
    shown.collect()
}

/// Page after page, until there are enough.
async fn list(conn: &mut PgConnection, filter: &JobFilter, limit: i64) -> anyhow::Result<Vec<JobRow>> {
    let mut jobs = Vec::new();
    let mut before = None;
    loop {
        let missing = limit - i64::try_from(jobs.len())?;
        let page = read::list(conn, filter, before, missing).await?;
        jobs.extend(page.rows);
        before = page.next;
        if before.is_none() || i64::try_from(jobs.len())? >= limit {
            return Ok(jobs);
        }
    }
}

/// What each tenant is called.
async fn name_tenants(conn: &mut PgConnection, jobs: &[JobRow]) -> anyhow::Result<HashMap<Uuid, String>> {
    let ids: Vec<String> = jobs.iter().map(|job| job.tenant_id.to_string()).collect();
    let found = Tenant::find_each(conn, &ids).await?;
    let mut names: HashMap<_, _> = found.into_iter().flatten().map(|it| (it.id, it.slug.0)).collect();
    names.insert(SYSTEM_TENANT, SYSTEM_SLUG.to_owned());
    Ok(names)
}

fn print_list(jobs: Vec<Job>, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        for job in &jobs {
            say!("{}", serde_json::to_string(job)?)?;
        }
        return Ok(());
    }
    let mut table = table(&["ID", "TENANT", "KIND", "DAY", "STATE", "ATTEMPT", "CREATED", "ARGUMENTS"]);
    for mut job in jobs {
        // It has a column of its own.
        if let Some(args) = job.args.as_object_mut() {
            args.remove("tenant");
        }
        let attempt = format!("{}/{}", job.attempt, job.max_attempts);
        let (id, state, args) = (job.id.to_string(), job.state.to_string(), job.args.to_string());
        let day = job.date.map(|date| date.to_string()).unwrap_or_default();
        table.add_row([id, job.tenant, job.kind, day, state, attempt, instant(job.created_at), args]);
    }
    say_table(&table, "no jobs match")
}
