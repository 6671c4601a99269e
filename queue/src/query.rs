//! Reads: jobs as clients see them, workflows, workers. The caller's connection decides what is visible.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::state::JobState;

/// A job with the facts that explain why it does not run.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of queue.jobs, commented in the migration")]
pub struct JobRow {
    pub id: Uuid,
    pub seq: i64,
    pub tenant_id: Uuid,
    pub queue: String,
    pub kind: String,
    pub state: String,
    pub priority: i16,
    pub attempt: i16,
    pub max_attempts: i16,
    pub run: i64,
    pub pending_parents: i32,
    pub args: Value,
    pub output: Option<Value>,
    pub progress: Option<Value>,
    pub errors: Value,
    pub workflow_id: Option<Uuid>,
    pub name: Option<String>,
    pub backfill_id: Option<Uuid>,
    pub traceparent: Option<String>,
    pub created_at: DateTime<Utc>,
    pub scheduled_at: DateTime<Utc>,
    pub attempted_at: Option<DateTime<Utc>>,
    pub finalized_at: Option<DateTime<Utc>>,
    /// The jobs it waits on, or waited on.
    pub depends_on: Vec<Uuid>,
    /// The database's time of this look.
    pub observed_at: DateTime<Utc>,
    /// Whether a live worker claims from its queue; null unless it is available.
    pub has_worker: Option<bool>,
    /// Jobs of its lane (or of its backfill's part of it) and priority that start before it, counted to 1,000; null
    /// unless it is available.
    pub ahead: Option<i64>,
}

impl JobRow {
    /// Where the job stands.
    pub fn state(&self) -> JobState {
        self.state.parse().expect("the enum's names are the states'")
    }
}

/// A query for [`JobRow`]s with the given tail; sqlx checks each whole text at compile time.
macro_rules! job_rows {
    ($tail:literal, $($args:expr),* $(,)?) => {
        sqlx::query_as!(
            JobRow,
            r#"select j.id, j.seq as "seq!", j.tenant_id, j.queue, j.kind, j.state::text as "state!", j.priority,
                j.attempt, j.max_attempts, j.run, j.pending_parents, j.args, j.output, j.progress, j.errors,
                j.workflow_id, j.name, j.backfill_id, j.traceparent, j.created_at, j.scheduled_at, j.attempted_at,
                j.finalized_at,
                array(select d.parent_id from queue.job_dependencies d where d.child_id = j.id order by 1)
                    as "depends_on!",
                clock_timestamp() + (queue.now() - now()) as "observed_at!",
                case when j.state = 'available' then exists (
                    select from queue.workers w where j.queue = any(w.queues) and w.lease_until > queue.now())
                end as has_worker,
                case when j.state = 'available' then (select count(*) from (
                    select from queue.jobs a
                    where j.backfill_id is null and a.backfill_id is null and a.queue = j.queue
                      and a.state = 'available' and a.tenant_id = j.tenant_id and a.priority = j.priority
                      and a.seq < j.seq
                    union all
                    select from queue.jobs a
                    where a.backfill_id is not null and a.backfill_id = j.backfill_id and a.queue = j.queue
                      and a.state = 'available' and a.tenant_id = j.tenant_id and a.priority = j.priority
                      and a.seq < j.seq
                    limit 1000) lane)
                end as ahead
            from queue.jobs j "# + $tail,
            $($args),*
        )
    };
}

/// One job.
pub async fn get(conn: &mut PgConnection, id: Uuid) -> Result<Option<JobRow>> {
    Ok(job_rows!("where j.id = $1", id).fetch_optional(conn).await?)
}

/// Which jobs to list; empty fields do not filter. Stored under the names that requests have.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobFilter {
    /// One of these states.
    #[serde(rename = "state", skip_serializing_if = "Option::is_none")]
    pub states: Option<Vec<JobState>>,
    /// Of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// In this queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Of this tenant.
    #[serde(rename = "tenant_id", skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Uuid>,
    /// Of this workflow.
    #[serde(rename = "workflow_id", skip_serializing_if = "Option::is_none")]
    pub workflow: Option<Uuid>,
    /// Of this backfill.
    #[serde(rename = "backfill_id", skip_serializing_if = "Option::is_none")]
    pub backfill: Option<Uuid>,
    /// Enqueued at or after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_after: Option<DateTime<Utc>>,
    /// Enqueued before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_before: Option<DateTime<Utc>>,
    /// This text, in any case, in arguments or errors.
    #[serde(rename = "q", skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The newest `limit` jobs that match, older than `before` (a [`JobRow::seq`]), newest first.
pub async fn list(
    conn: &mut PgConnection,
    filter: &JobFilter,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<JobRow>> {
    let states: Option<Vec<String>> =
        filter.states.as_ref().map(|states| states.iter().map(ToString::to_string).collect());
    let pattern = filter.text.as_ref().map(|text| like_pattern(text));
    let rows = job_rows!(
        "where ($1::text[] is null or j.state = any($1::text[]::queue.job_state[]))
           and ($2::text is null or j.kind = $2)
           and ($3::text is null or j.queue = $3)
           and ($4::uuid is null or j.tenant_id = $4)
           and ($5::uuid is null or j.workflow_id = $5)
           and ($6::uuid is null or j.backfill_id = $6)
           and ($7::timestamptz is null or j.created_at >= $7)
           and ($8::timestamptz is null or j.created_at < $8)
           and ($9::text is null or j.args::text ilike $9 or j.errors::text ilike $9)
           and ($10::bigint is null or j.seq < $10)
         order by j.seq desc
         limit $11",
        states.as_deref(),
        filter.kind,
        filter.queue,
        filter.tenant,
        filter.workflow,
        filter.backfill,
        filter.created_after,
        filter.created_before,
        pattern,
        before,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

pub(crate) fn like_pattern(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

/// The first `limit` jobs of a workflow after `after` (a [`JobRow::seq`]), in order of enqueueing.
pub async fn workflow(
    conn: &mut PgConnection,
    id: Uuid,
    after: Option<i64>,
    limit: i64,
) -> Result<Vec<JobRow>> {
    let rows = job_rows!(
        "where j.workflow_id = $1 and ($2::bigint is null or j.seq > $2) order by j.seq limit $3",
        id,
        after,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// How many jobs a workflow has in each state it has any in; empty when there is no such workflow.
pub async fn workflow_counts(conn: &mut PgConnection, id: Uuid) -> Result<HashMap<JobState, u64>> {
    let rows = sqlx::query!(
        r#"select state::text as "state!", count(*) as "count!" from queue.jobs where workflow_id = $1 group by state"#,
        id
    )
    .fetch_all(conn)
    .await?;
    let state = |name: String| name.parse().expect("the enum's names are the states'");
    Ok(rows.into_iter().map(|row| (state(row.state), row.count.unsigned_abs())).collect())
}

/// A worker that holds a lease.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of queue.workers, commented in the migration")]
pub struct WorkerRow {
    pub id: Uuid,
    pub host: String,
    pub pid: i32,
    pub version: String,
    pub queues: Vec<String>,
    pub started_at: DateTime<Utc>,
    pub heartbeat_at: DateTime<Utc>,
    /// Jobs it runs now.
    pub running: i64,
}

/// The workers that hold a lease, oldest first.
pub async fn workers(conn: &mut PgConnection) -> Result<Vec<WorkerRow>> {
    let rows = sqlx::query_as!(
        WorkerRow,
        r#"select w.id, w.host, w.pid, w.version, w.queues, w.started_at, w.heartbeat_at,
            (select count(*) from queue.claims c cross join unnest(c.jobs) as taken (seq)
             join queue.jobs j using (seq)
             where c.worker_id = w.id and j.worker_id = w.id and j.state = 'running') as "running!"
        from queue.workers w where w.lease_until > queue.now() order by w.started_at"#
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
