//! `workflows`: look at workflows and act on them.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use weirgate_identity::audit::Actor;
use weirgate_identity::{SYSTEM_SLUG, SYSTEM_TENANT, Tenant};
use weirgate_queue::read::{self, WorkflowFilter, WorkflowState};
use weirgate_queue::{JobState, QueueError, workflow};
use weirgate_web::attempt::AttemptError;
use weirgate_web::day::parse_day;

use super::door::{Door, Local};
use super::remote;
use super::session::Session;
use super::table::{instant, say_table, table};
use super::tenant::tenant;
use crate::cli::{ListWorkflows, Workflows};
use crate::http::in_words;
use crate::http::workflow::WorkflowSummary;
use crate::operations::{WorkflowRetry, retry_failed};
use crate::output::say;

/// Jobs that are counted of each in the list.
const COUNTED: u32 = 500;

/// Jobs that are shown of one.
const SHOWN: i64 = 500;

pub(super) async fn run(command: Workflows, session: &Session) -> anyhow::Result<()> {
    session.with_door("workflows", async |door| act(command, door).await).await
}

async fn act(command: Workflows, door: Door<'_>) -> anyhow::Result<()> {
    match command {
        Workflows::List(options) => print_list(match door {
            Door::Database(database) => list(options, database).await?,
            Door::Server(client) => remote::workflows::list(client, &options).await?,
        }),
        Workflows::Show { id } => {
            let workflow = match door {
                Door::Database(database) => stored(&mut *database.pool.acquire().await?, id).await?,
                Door::Server(client) => remote::workflows::show(client, id).await?,
            };
            say!("{}", serde_json::to_string_pretty(&workflow)?)
        }
        Workflows::RetryFailed { id } => {
            let done = match door {
                Door::Database(database) => retry(&database.pool, id).await?,
                Door::Server(client) => remote::workflows::retry_failed(client, id).await?,
            };
            print_retry(id, done)
        }
        Workflows::Cancel { id } => {
            let jobs = match door {
                Door::Database(database) => cancel(&database.pool, id).await?,
                Door::Server(client) => remote::workflows::cancel(client, id).await?,
            };
            say!("{} of {id} cancelled or asked to stop", of_jobs(jobs))
        }
    }
}

/// A workflow in the list.
#[derive(Deserialize)]
pub(super) struct Row {
    pub(super) id: Uuid,
    name: Option<String>,
    tenant: String,
    date: Option<NaiveDate>,
    state: WorkflowState,
    total: u64,
    /// Whether that are all of its jobs.
    exact: bool,
    counts: BTreeMap<String, i64>,
    created_at: DateTime<Utc>,
}

/// A workflow with its first jobs.
#[derive(Serialize, Deserialize)]
pub(super) struct Workflow {
    id: Uuid,
    name: Option<String>,
    title: String,
    tenant: String,
    date: Option<NaiveDate>,
    created_at: DateTime<Utc>,
    state: WorkflowState,
    total: u64,
    pub(super) counts: BTreeMap<String, i64>,
    jobs: Vec<WorkflowJob>,
}

/// One of them.
#[derive(Serialize, Deserialize)]
struct WorkflowJob {
    id: Uuid,
    name: Option<String>,
    kind: String,
    state: JobState,
    attempt: i16,
    depends_on: Vec<Uuid>,
    errors: Vec<AttemptError>,
}

async fn cancel(pool: &PgPool, id: Uuid) -> anyhow::Result<u64> {
    let mut tx = pool.begin().await?;
    let jobs = workflow::cancel(&mut tx, id).await?;
    Actor::cli().note_workflow_cancel(&mut tx, id, jobs).await?;
    tx.commit().await?;
    Ok(jobs)
}

async fn retry(pool: &PgPool, id: Uuid) -> anyhow::Result<WorkflowRetry> {
    let mut tx = pool.begin().await?;
    let actor = Actor::cli();
    let done = retry_failed(&mut tx, id, actor.name()).await?;
    if done == WorkflowRetry::NothingFailed {
        return Ok(done);
    }
    actor.note_workflow_retry(&mut tx, id, &done.detail()).await?;
    tx.commit().await?;
    Ok(done)
}

fn print_retry(id: Uuid, done: WorkflowRetry) -> anyhow::Result<()> {
    match done {
        WorkflowRetry::NothingFailed => anyhow::bail!(
            "no job of workflow {id} has failed; cancelled ones are retried with: weirgate jobs bulk retry --workflow {id} --state cancelled"
        ),
        WorkflowRetry::Done { retried, refused: 0 } => say!("{} will run again", of_jobs(retried)),
        WorkflowRetry::Done { retried, refused } => {
            say!(
                "{} will run again; {refused} cannot, because the same job has been enqueued again already",
                of_jobs(retried)
            )
        }
        WorkflowRetry::Begun(job) => say!("many jobs have failed; job {job} retries them in steps"),
    }
}

fn of_jobs(count: u64) -> String {
    if count == 1 { "1 job".to_owned() } else { format!("{count} jobs") }
}

/// Workflows of the database.
async fn list(options: ListWorkflows, database: Local<'_>) -> anyhow::Result<Vec<Row>> {
    let tenant = match options.tenant.as_deref() {
        None => None,
        Some(SYSTEM_SLUG) => Some(SYSTEM_TENANT),
        Some(name) => Some(tenant(&database.pool, name).await.context("--tenant")?.id),
    };
    let filter = WorkflowFilter {
        tenant,
        name: options.name.map(|name| database.catalog.name_of(&name).to_owned()),
        subject: options.date.map(|date| date.to_string()),
        states: (!options.state.is_empty()).then_some(options.state),
    };
    let mut conn = database.pool.acquire().await?;
    let (mut rows, mut before) = (Vec::new(), None);
    loop {
        let missing = usize::from(options.limit) - rows.len();
        let page = read::workflows(&mut conn, &filter, before, missing, COUNTED).await?;
        rows.extend(page.rows);
        before = page.next;
        if before.is_none() || rows.len() >= options.limit.into() {
            break;
        }
    }
    let slugs = slugs(&mut conn, rows.iter().map(|row| row.tenant_id)).await?;
    let shown = rows.into_iter().map(|row| {
        let tenant = slugs.get(&row.tenant_id).cloned().unwrap_or_else(|| row.tenant_id.to_string());
        serde_json::from_value(serde_json::to_value(WorkflowSummary::new(row, &tenant, ""))?)
    });
    Ok(shown.collect::<Result<_, _>>()?)
}

fn print_list(rows: Vec<Row>) -> anyhow::Result<()> {
    let mut table = table(&["ID", "WORKFLOW", "TENANT", "DAY", "STATE", "DONE", "OF", "FAILED", "CREATED"]);
    for row in rows {
        use weirgate_queue::JobState::{Cancelled, Completed, Discarded};
        let count = |state: JobState| row.counts.get(state.as_str()).copied().unwrap_or(0);
        let more = if row.exact { "" } else { "+" };
        table.add_row([
            row.id.to_string(),
            row.name.clone().unwrap_or_else(|| "-".to_owned()),
            row.tenant.clone(),
            row.date.map(|date| date.to_string()).unwrap_or_default(),
            row.state.to_string(),
            count(Completed).to_string(),
            format!("{}{more}", row.total),
            (count(Discarded) + count(Cancelled)).to_string(),
            instant(row.created_at),
        ]);
    }
    say_table(&table, "no workflows match")
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

/// A workflow of the database.
async fn stored(conn: &mut PgConnection, id: Uuid) -> anyhow::Result<Workflow> {
    let title = workflow::title(&mut *conn, id).await?.ok_or(QueueError::UnknownWorkflow(id))?;
    let found = read::workflow_counts(&mut *conn, id).await?;
    let jobs = read::workflow(&mut *conn, id, None, SHOWN).await?;
    let slugs = slugs(conn, std::iter::once(title.tenant_id)).await?;
    let tenant = slugs.get(&title.tenant_id).cloned().unwrap_or_else(|| title.tenant_id.to_string());
    let jobs = jobs.into_iter().map(|job| {
        Ok(WorkflowJob {
            id: job.id,
            state: job.state(),
            name: job.name,
            kind: job.kind,
            attempt: job.attempt,
            depends_on: job.depends_on,
            errors: serde_json::from_value(job.errors)?,
        })
    });
    Ok(Workflow {
        id,
        title: in_words(title.name.as_deref(), &tenant, title.subject.as_deref()),
        name: title.name,
        tenant,
        date: title.subject.and_then(|day| parse_day(&day).ok()),
        created_at: title.created_at,
        state: found.state(),
        total: found.counts.total().unsigned_abs(),
        counts: found.counts.iter().map(|(state, count)| (state.to_string(), count)).collect(),
        jobs: jobs.collect::<serde_json::Result<_>>()?,
    })
}
