//! `jobs`: look at jobs and act on them.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_jobs::{Tenant, shown_args};
use weirgate_queue::query::{self, JobFilter, JobRow};
use weirgate_queue::{JobState, QueueError, control};

use super::{bulk, tenant};
use crate::audit::Actor;
use crate::cli::Jobs;
use crate::config::Config;
use crate::database::Database;

pub(super) async fn run(command: Jobs, config: &Config) -> anyhow::Result<()> {
    let database = Database::attach(config, "jobs").await?;
    let mut tx = database.pool.begin().await?;
    match command {
        Jobs::List { tenant: name_or_id, state, kind, limit, json } => {
            let tenant = match name_or_id {
                Some(name_or_id) => Some(tenant(&database.pool, &name_or_id).await?.id),
                None => None,
            };
            let states = (!state.is_empty()).then_some(state);
            let filter = JobFilter { tenant, states, kind, ..JobFilter::default() };
            let mut jobs = list(&mut tx, &filter, limit).await?;
            name_tenants(&mut tx, &mut jobs).await?;
            print_list(jobs, json);
        }
        Jobs::Show { id } => print_job(&mut tx, id).await?,
        Jobs::Retry { id } => {
            let state = control::retry(&mut tx, id).await?;
            note(&mut tx, "job.retry", id, state).await?;
            println!("{id} is {state}");
        }
        Jobs::Cancel { id } => {
            let state = control::cancel(&mut tx, id).await?;
            note(&mut tx, "job.cancel", id, state).await?;
            match state {
                JobState::Running => println!("{id} is running and was told to stop"),
                state => println!("{id} is {state}"),
            }
        }
        Jobs::Bulk(options) => {
            drop(tx);
            return bulk::run(options, database).await;
        }
    }
    tx.commit().await?;
    database.close().await
}

async fn note(conn: &mut PgConnection, action: &str, job: Uuid, state: JobState) -> sqlx::Result<()> {
    Actor::cli().note(conn, action, &job.to_string(), &json!({ "state": state.as_str() })).await
}

/// Page after page, until there are enough.
async fn list(conn: &mut PgConnection, filter: &JobFilter, limit: i64) -> anyhow::Result<Vec<JobRow>> {
    let mut jobs = Vec::new();
    let mut before = None;
    loop {
        let missing = limit - i64::try_from(jobs.len())?;
        let page = query::list(conn, filter, before, missing).await?;
        jobs.extend(page.rows);
        before = page.next;
        if before.is_none() || i64::try_from(jobs.len())? >= limit {
            return Ok(jobs);
        }
    }
}

fn print_list(jobs: Vec<JobRow>, as_json: bool) {
    if as_json {
        for job in &jobs {
            println!("{}", describe(job));
        }
        return;
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["ID", "KIND", "STATE", "ATTEMPT", "CREATED", "ARGUMENTS"]);
    for job in jobs {
        let attempt = format!("{}/{}", job.attempt, job.max_attempts);
        let created = job.created_at.format("%Y-%m-%d %H:%M:%S").to_string();
        table.add_row([job.id.to_string(), job.kind, job.state, attempt, created, job.args.to_string()]);
    }
    println!("{table}");
}

async fn print_job(conn: &mut PgConnection, id: Uuid) -> anyhow::Result<()> {
    let mut job = query::get(&mut *conn, id).await?.ok_or(QueueError::UnknownJob(id))?;
    name_tenants(conn, std::slice::from_mut(&mut job)).await?;
    println!("{}", serde_json::to_string_pretty(&describe(&job))?);
    Ok(())
}

/// Puts slugs into arguments, which name tenants by their ids.
pub(super) async fn name_tenants(conn: &mut PgConnection, jobs: &mut [JobRow]) -> anyhow::Result<()> {
    let ids: Vec<String> = jobs.iter().map(|job| job.tenant_id.to_string()).collect();
    for (job, tenant) in jobs.iter_mut().zip(Tenant::find_each(conn, &ids).await?) {
        if let Some(tenant) = tenant {
            job.args = shown_args(job.args.take(), tenant.id, &tenant.slug.0);
        }
    }
    Ok(())
}

/// A job as an operator on the database's host sees it; clients get the resource of the HTTP contract.
pub(super) fn describe(job: &JobRow) -> Value {
    json!({
        "id": job.id, "kind": job.kind, "queue": job.queue, "tenant_id": job.tenant_id, "state": job.state,
        "priority": job.priority, "attempt": job.attempt, "max_attempts": job.max_attempts, "args": job.args,
        "output": job.output, "errors": job.errors, "progress": job.progress, "workflow_id": job.workflow_id,
        "backfill_id": job.backfill_id, "name": job.name, "depends_on": job.depends_on,
        "created_at": job.created_at, "scheduled_at": job.scheduled_at,
        "attempted_at": job.attempted_at, "finalized_at": job.finalized_at,
    })
}
