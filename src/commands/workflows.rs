//! `workflows`: look at workflows and act on them.

use std::collections::HashMap;

use anyhow::Context;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use weirgate_jobs::{DailyPipeline, SYSTEM_SLUG, SYSTEM_TENANT, Tenant, WorkflowRetry, retry_failed};
use weirgate_queue::query::{self, WorkflowFilter, WorkflowRow};
use weirgate_queue::{QueueError, workflow};

use super::session::Session;
use super::{instant, table, tenant};
use crate::audit::Actor;
use crate::cli::{ListWorkflows, Workflows};
use crate::http::in_words;
use crate::output::say;

/// Jobs that are counted of each in the list.
const COUNTED: u32 = 500;

/// Jobs that are shown of one.
const SHOWN: i64 = 500;

pub(super) async fn run(command: Workflows, session: &Session) -> anyhow::Result<()> {
    session.with_database("workflows", async |database| act(command, &database.pool).await).await
}

async fn act(command: Workflows, pool: &PgPool) -> anyhow::Result<()> {
    match command {
        Workflows::List(options) => list(options, pool).await,
        Workflows::Show { id } => {
            say!("{}", serde_json::to_string_pretty(&describe(&mut *pool.acquire().await?, id).await?)?)
        }
        Workflows::RetryFailed { id } => retry(pool, id).await,
        Workflows::Cancel { id } => {
            let mut tx = pool.begin().await?;
            let jobs = workflow::cancel(&mut tx, id).await?;
            Actor::cli().note_workflow_cancel(&mut tx, id, jobs).await?;
            tx.commit().await?;
            say!("{} of {id} were cancelled or told to stop", of_jobs(jobs))
        }
    }
}

async fn retry(pool: &PgPool, id: Uuid) -> anyhow::Result<()> {
    let mut tx = pool.begin().await?;
    let done = retry_failed(&mut tx, id).await?;
    let said = match done {
        WorkflowRetry::NothingFailed => {
            anyhow::bail!(
                "no job of workflow {id} has failed; cancelled ones are retried with: weirgate jobs bulk retry --workflow {id} --state cancelled"
            )
        }
        WorkflowRetry::Done { retried, refused: 0 } => {
            format!("{} will run again", of_jobs(retried))
        }
        WorkflowRetry::Done { retried, refused } => {
            format!("{} will run again; {refused} cannot, as the same job is on its way", of_jobs(retried))
        }
        WorkflowRetry::Begun(job) => format!("many have failed: job {job} retries them, bit by bit"),
    };
    Actor::cli().note_workflow_retry(&mut tx, id, done).await?;
    tx.commit().await?;
    say!("{said}")
}

fn of_jobs(count: u64) -> String {
    if count == 1 { "1 job".to_owned() } else { format!("{count} jobs") }
}

async fn list(options: ListWorkflows, pool: &PgPool) -> anyhow::Result<()> {
    let tenant = match options.tenant.as_deref() {
        None => None,
        Some(SYSTEM_SLUG) => Some(SYSTEM_TENANT),
        Some(name) => Some(tenant(pool, name).await.context("--tenant")?.id),
    };
    let filter = WorkflowFilter {
        tenant,
        name: options.name.map(|name| DailyPipeline::kind(&name).to_owned()),
        subject: options.date.map(|date| date.to_string()),
        states: (!options.state.is_empty()).then_some(options.state),
    };
    let mut conn = pool.acquire().await?;
    let (mut rows, mut before) = (Vec::new(), None);
    loop {
        let missing = usize::from(options.limit) - rows.len();
        let page = query::workflows(&mut conn, &filter, before, missing, COUNTED).await?;
        rows.extend(page.rows);
        before = page.next;
        if before.is_none() || rows.len() >= options.limit.into() {
            return print_list(&mut conn, rows).await;
        }
    }
}

async fn print_list(conn: &mut PgConnection, rows: Vec<WorkflowRow>) -> anyhow::Result<()> {
    let slugs = slugs(conn, rows.iter().map(|row| row.tenant_id)).await?;
    let mut table = table(&["ID", "WORKFLOW", "TENANT", "DAY", "STATE", "DONE", "OF", "FAILED", "CREATED"]);
    for row in rows {
        use weirgate_queue::JobState::{Cancelled, Completed, Discarded};
        let more = if row.more { "+" } else { "" };
        table.add_row([
            row.id.to_string(),
            row.name.unwrap_or_else(|| row.kinds.join(", ")),
            slugs.get(&row.tenant_id).cloned().unwrap_or_else(|| row.tenant_id.to_string()),
            row.subject.unwrap_or_default(),
            row.state.to_string(),
            row.counts.of(Completed).to_string(),
            format!("{}{more}", row.jobs),
            (row.counts.of(Discarded) + row.counts.of(Cancelled)).to_string(),
            instant(row.created_at),
        ]);
    }
    say!("{table}")
}

/// What tenants are called.
async fn slugs(
    conn: &mut PgConnection,
    ids: impl Iterator<Item = Uuid>,
) -> anyhow::Result<HashMap<Uuid, String>> {
    let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
    let mut slugs = HashMap::from([(SYSTEM_TENANT, SYSTEM_SLUG.to_owned())]);
    slugs.extend(Tenant::find_each(conn, &ids).await?.into_iter().flatten().map(|it| (it.id, it.slug.0)));
    Ok(slugs)
}

/// A workflow as an operator on the database's host sees it.
async fn describe(conn: &mut PgConnection, id: Uuid) -> anyhow::Result<Value> {
    let title = workflow::title(&mut *conn, id).await?.ok_or(QueueError::UnknownWorkflow(id))?;
    let found = query::workflow_counts(&mut *conn, id).await?;
    let jobs = query::workflow(&mut *conn, id, None, SHOWN).await?;
    let slugs = slugs(conn, std::iter::once(title.tenant_id)).await?;
    let tenant = slugs.get(&title.tenant_id).cloned().unwrap_or_else(|| title.tenant_id.to_string());
    let counts: serde_json::Map<String, Value> =
        found.counts.iter().map(|(state, count)| (state.to_string(), count.into())).collect();
    let jobs: Vec<Value> = jobs
        .into_iter()
        .map(|job| {
            json!({
                "id": job.id, "name": job.name, "kind": job.kind, "state": job.state, "attempt": job.attempt,
                "depends_on": job.depends_on, "error": job.errors.as_array().and_then(|errors| errors.last()),
            })
        })
        .collect();
    Ok(json!({
        "id": id, "name": title.name, "title": in_words(title.name.as_deref(), &tenant, title.subject.as_deref()),
        "tenant": tenant, "date": title.subject, "created_at": title.created_at, "state": found.state(),
        "total": found.counts.total(), "counts": counts, "jobs": jobs,
    }))
}
