//! `jobs`: look at jobs and act on them.

use std::collections::HashMap;

use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_jobs::{SYSTEM_SLUG, SYSTEM_TENANT, Tenant, shown_args};
use weirgate_queue::lanes::Books;
use weirgate_queue::query::{self, JobFilter, JobRow};
use weirgate_queue::{JobState, control};

use super::filter::job_filter;
use super::follow::{Look, look};
use super::session::Session;
use super::{bulk, instant, table};
use crate::audit::{Actor, Change, Subject};
use crate::cli::{Jobs, ListJobs};
use crate::database::Database;
use crate::http::reason::reasons;
use crate::output::say;

pub(super) async fn run(command: Jobs, session: &Session) -> anyhow::Result<()> {
    session.with_database("jobs", async |database| act(command, database).await).await
}

async fn act(command: Jobs, database: &Database) -> anyhow::Result<()> {
    let pool = &database.pool;
    match command {
        Jobs::List(ListJobs { filter, limit, json }) => {
            let filter = job_filter(filter, pool).await?;
            let mut tx = pool.begin().await?;
            let mut jobs = list(&mut tx, &filter, limit).await?;
            let tenants = name_tenants(&mut tx, &mut jobs).await?;
            print_list(jobs, &tenants, json)
        }
        Jobs::Show { id } => {
            let Look { job, why } = look(&Books::new(pool.clone()), &mut *pool.acquire().await?, id).await?;
            let cancelled =
                reasons(&mut *pool.acquire().await?, std::slice::from_ref(&job), true).await?.remove(&id);
            let mut shown = described(&mut *pool.acquire().await?, job).await?;
            shown["why_not_running"] = json!(why);
            shown["why_cancelled"] = json!(cancelled);
            say!("{}", serde_json::to_string_pretty(&shown)?)
        }
        Jobs::Retry { id } => {
            let mut tx = pool.begin().await?;
            let change = Change::begin(&mut tx, Subject::Job(id)).await?;
            let state = control::retry(&mut tx, id).await?;
            change.note(&mut tx, &Actor::cli(), "job.retry", &["state"]).await?;
            tx.commit().await?;
            say!("{id} is {state}")
        }
        Jobs::Cancel { id } => {
            let mut tx = pool.begin().await?;
            let change = Change::begin(&mut tx, Subject::Job(id)).await?;
            let state = control::cancel(&mut tx, id).await?;
            change.note(&mut tx, &Actor::cli(), "job.cancel", &["state"]).await?;
            tx.commit().await?;
            match state {
                JobState::Running => say!("{id} is running and was told to stop"),
                state => say!("{id} is {state}"),
            }
        }
        Jobs::Bulk(options) => bulk::run(options, database).await,
    }
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

fn print_list(jobs: Vec<JobRow>, tenants: &HashMap<Uuid, String>, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        for job in &jobs {
            say!("{}", describe(job, tenants.get(&job.tenant_id)))?;
        }
        return Ok(());
    }
    let mut table = table(&["ID", "TENANT", "KIND", "DAY", "STATE", "ATTEMPT", "CREATED", "ARGUMENTS"]);
    for mut job in jobs {
        let tenant = tenants.get(&job.tenant_id).cloned().unwrap_or_else(|| job.tenant_id.to_string());
        // It has a column of its own.
        if let Some(args) = job.args.as_object_mut() {
            args.remove("tenant");
        }
        let attempt = format!("{}/{}", job.attempt, job.max_attempts);
        let (id, args) = (job.id.to_string(), job.args.to_string());
        let day = job.subject.unwrap_or_default();
        table.add_row([id, tenant, job.kind, day, job.state, attempt, instant(job.created_at), args]);
    }
    say!("{table}")
}

/// Puts slugs into arguments, which name tenants by their ids, and returns what each tenant is called.
async fn name_tenants(conn: &mut PgConnection, jobs: &mut [JobRow]) -> anyhow::Result<HashMap<Uuid, String>> {
    let ids: Vec<String> = jobs.iter().map(|job| job.tenant_id.to_string()).collect();
    let mut names = HashMap::from([(SYSTEM_TENANT, SYSTEM_SLUG.to_owned())]);
    for (job, tenant) in jobs.iter_mut().zip(Tenant::find_each(conn, &ids).await?) {
        if let Some(tenant) = tenant {
            job.args = shown_args(job.args.take(), tenant.id, &tenant.slug.0);
            names.insert(tenant.id, tenant.slug.0);
        }
    }
    Ok(names)
}

/// One job with its tenant's name.
pub(super) async fn described(conn: &mut PgConnection, mut job: JobRow) -> anyhow::Result<Value> {
    let tenants = name_tenants(conn, std::slice::from_mut(&mut job)).await?;
    Ok(describe(&job, tenants.get(&job.tenant_id)))
}

/// A job as an operator on the database's host sees it; clients get the resource of the HTTP contract.
fn describe(job: &JobRow, tenant: Option<&String>) -> Value {
    json!({
        "id": job.id, "kind": job.kind, "date": job.subject, "queue": job.queue, "tenant_id": job.tenant_id, "tenant": tenant,
        "state": job.state,
        "priority": job.priority, "attempt": job.attempt, "max_attempts": job.max_attempts, "args": job.args,
        "output": job.output, "errors": job.errors, "progress": job.progress, "workflow_id": job.workflow_id,
        "backfill_id": job.backfill_id, "name": job.name, "depends_on": job.depends_on,
        "created_at": job.created_at, "scheduled_at": job.scheduled_at,
        "attempted_at": job.attempted_at, "finalized_at": job.finalized_at,
    })
}
