//! Reads: jobs as clients see them, workflows, workers. The caller's connection decides what is
//! visible.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::Result;
use crate::job::state::{JobState, StateCounts};

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
    /// What it is about, such as a day.
    pub subject: Option<String>,
    pub backfill_id: Option<Uuid>,
    pub traceparent: Option<String>,
    pub created_at: DateTime<Utc>,
    pub scheduled_at: DateTime<Utc>,
    pub attempted_at: Option<DateTime<Utc>>,
    pub finalized_at: Option<DateTime<Utc>>,
    /// Through what it was cancelled, or told to stop.
    pub cancelled_by: Option<Uuid>,
    /// The jobs it waits on, or waited on.
    pub depends_on: Vec<Uuid>,
    /// While it waits, the first job that it waits on.
    pub waits_on: Option<Json<WaitsOn>>,
    /// The database's time of this look.
    pub observed_at: DateTime<Utc>,
    /// Whether a live worker claims from its queue; null unless it is available.
    pub has_worker: Option<bool>,
    /// Whether it has an output that is left out here, as it is larger than 64 KiB; [`output`]
    /// reads it.
    pub output_omitted: bool,
}

/// A job that another one waits on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitsOn {
    /// The job.
    pub id: Uuid,
    /// Its kind.
    pub kind: String,
    /// Its name within its workflow, if it has one.
    pub name: Option<String>,
    /// Where it stands.
    pub state: JobState,
}

/// What every job has beside its own values, with what a client is told of it.
const REST_BYTES: usize = 1500;

impl JobRow {
    /// Where the job stands.
    pub fn state(&self) -> JobState {
        self.state.parse().expect("the enum's names are the states'")
    }

    /// About how many bytes it has as JSON.
    pub fn bytes(&self) -> usize {
        let parts = [Some(&self.args), self.output.as_ref(), Some(&self.errors), self.progress.as_ref()];
        parts.into_iter().flatten().map(bytes).sum::<usize>() + 40 * self.depends_on.len() + REST_BYTES
    }
}

/// A query for [`JobRow`]s from `queue.jobs j`, or from what takes its place, with the given tail;
/// sqlx checks each whole text at compile time.
///
/// Outputs above 64 KiB are left out, unless `whole` ones are asked for. A stored output may be
/// compressed, but not to less than a hundredth: only what is in doubt is written out to be
/// measured.
macro_rules! job_rows {
    (@outputs $output:literal, from $($from:literal)*, $($args:expr),* $(,)?) => {
        sqlx::query_as!(
            JobRow,
            r#"select j.id, j.seq as "seq!", j.tenant_id, j.queue, j.kind, j.state::text as "state!", j.priority,
                j.attempt, j.max_attempts, j.run, j.pending_parents, j.args, "# + $output + r#", j.progress, j.errors,
                j.workflow_id, j.name, j.subject, j.cancelled_by, j.backfill_id, j.traceparent, j.created_at, j.scheduled_at, j.attempted_at,
                j.finalized_at,
                array(select d.parent_id from queue.job_dependencies d where d.child_id = j.id order by 1)
                    as "depends_on!",
                case when j.state = 'waiting' then (
                    select jsonb_build_object('id', p.id, 'kind', p.kind, 'name', p.name, 'state', p.state)
                    from queue.job_dependencies d join queue.jobs p on p.id = d.parent_id
                    where d.child_id = j.id and d.outcome = 'pending' order by d.child_id, d.parent_id limit 1)
                end as "waits_on: sqlx::types::Json<crate::read::WaitsOn>",
                clock_timestamp() + (queue.now() - now()) as "observed_at!",
                case when j.state = 'available' then exists (
                    select from queue.workers w
                    where j.queue = any(w.queues) and w.lease_until > queue.now() and w.drain_requested_at is null)
                end as has_worker
            from "# $(+ $from)*,
            $($args),*
        )
    };
    (whole $tail:literal, $($args:expr),* $(,)?) => {
        job_rows!(@outputs r#"j.output, false as "output_omitted!""#, from "queue.jobs j " $tail, $($args),*)
    };
    (from $($from:literal)*, $($args:expr),* $(,)?) => {
        job_rows!(
            @outputs
            r#"case when pg_column_size(j.output) <= 600 or pg_column_size(j.output) <= 65536 and octet_length(j.output::text) <= 65536
                    then j.output end as output,
                coalesce(pg_column_size(j.output) > 600 and (pg_column_size(j.output) > 65536 or octet_length(j.output::text) > 65536), false)
                    as "output_omitted!""#,
            from $($from)*, $($args),*
        )
    };
    ($tail:literal, $($args:expr),* $(,)?) => {
        job_rows!(from "queue.jobs j " $tail, $($args),*)
    };
}

pub mod expose;
mod list;
mod output;
mod reader;
pub mod tally;
pub mod watch;
mod workflows;

pub(crate) use list::like_pattern;
pub use list::{JobFilter, Listed, list};
pub use output::{OutputText, output};
pub use reader::{Found, Reader};
pub use workflows::{WorkflowFilter, WorkflowRow, WorkflowState, WorkflowsListed, neighbours, workflows};

/// One job, with its whole output.
pub async fn get(conn: &mut PgConnection, id: Uuid) -> Result<Option<JobRow>> {
    Ok(job_rows!(whole "where j.id = $1", id).fetch_optional(conn).await?)
}

/// One job as lists have it.
pub async fn brief(conn: &mut PgConnection, id: Uuid) -> Result<Option<JobRow>> {
    Ok(job_rows!("where j.id = $1", id).fetch_optional(conn).await?)
}

/// How many bytes `value` has as JSON.
fn bytes(value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
            self.0 += buf.len();
            Ok(buf.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Neither counting nor writing a value fails.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// The first `limit` jobs that `job` waits, or waited, on.
pub async fn parents(conn: &mut PgConnection, job: Uuid, limit: i64) -> Result<Vec<WaitsOn>> {
    let rows = sqlx::query!(
        r#"select p.id, p.kind, p.name, p.state::text as "state!"
           from queue.job_dependencies d join queue.jobs p on p.id = d.parent_id
           where d.child_id = $1 order by d.child_id, d.parent_id limit $2"#,
        job,
        limit
    )
    .fetch_all(conn)
    .await?;
    let state = |name: String| name.parse().expect("the enum's names are the states'");
    Ok(rows
        .into_iter()
        .map(|row| WaitsOn { id: row.id, kind: row.kind, name: row.name, state: state(row.state) })
        .collect())
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

/// The jobs of a whole workflow, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkflowCounts {
    /// By state.
    pub counts: StateCounts,
    /// Whether one of them has started.
    pub begun: bool,
}

impl WorkflowCounts {
    /// Where the workflow stands.
    pub fn state(&self) -> WorkflowState {
        WorkflowState::of(&self.counts, self.begun)
    }
}

/// How many jobs a workflow has in each state; none in any when there is no such workflow.
pub async fn workflow_counts(conn: &mut PgConnection, id: Uuid) -> Result<WorkflowCounts> {
    let rows = sqlx::query!(
        r#"select state::text as "state!", count(*) as "count!", bool_or(run > 0 or state = 'completed') as "begun!"
           from queue.jobs where workflow_id = $1 group by state"#,
        id
    )
    .fetch_all(conn)
    .await?;
    let mut found = WorkflowCounts::default();
    for row in rows {
        found.counts.change(row.state.parse().expect("the enum's names are the states'"), row.count);
        found.begun |= row.begun;
    }
    Ok(found)
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
    /// Whether it was told to claim nothing more.
    pub draining: bool,
}

/// How many workers hold a lease.
pub async fn live_workers(conn: &mut PgConnection) -> Result<usize> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from queue.workers where lease_until > queue.now()"#
    )
    .fetch_one(conn)
    .await?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// The workers that hold a lease, oldest first.
pub async fn workers(conn: &mut PgConnection) -> Result<Vec<WorkerRow>> {
    let rows = sqlx::query_as!(
        WorkerRow,
        r#"select w.id, w.host, w.pid, w.version, w.queues, w.started_at, w.heartbeat_at,
            (select count(*) from queue.in_flight t join queue.jobs j using (seq)
             where t.worker_id = w.id and (j.run = t.run and j.state = 'running' or j.run = t.run - 1 and j.state = 'available')
            ) as "running!", w.drain_requested_at is not null as "draining!"
        from queue.workers w where w.lease_until > queue.now() order by w.started_at"#
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// A job that a worker runs.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of queue.jobs and queue.claims, commented in the migrations")]
pub struct RunningRow {
    pub id: Uuid,
    pub kind: String,
    pub queue: String,
    pub tenant_id: Uuid,
    pub claimed_at: DateTime<Utc>,
}

/// What `worker` runs, at most `limit`, longest first.
pub async fn running_on(conn: &mut PgConnection, worker: Uuid, limit: i64) -> Result<Vec<RunningRow>> {
    let rows = sqlx::query_as!(
        RunningRow,
        r#"select j.id, j.kind, j.queue, j.tenant_id, t.at as "claimed_at!"
        from queue.in_flight t cross join lateral (select * from queue.jobs where seq = t.seq offset 0) j
        where t.worker_id = $1 and (j.run = t.run and j.state = 'running' or j.run = t.run - 1 and j.state = 'available')
        order by t.at, j.seq limit $2"#,
        worker,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
