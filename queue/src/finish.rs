//! Finishing: the outcome of a run, its next jobs and the jobs that waited for it are written in
//! one transaction, guarded by the run token.

mod outcome;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::claim::persist_running::{RunStart, RunStarts};
use crate::enqueue::enqueue;
use crate::enqueue::new_job::NewJob;
use crate::enqueue::notify::notify_queues;
use crate::error::{QueueError, Result};
use crate::job::RunId;
use crate::job::state::JobState;
use crate::telemetry::failures::pattern;
use crate::workflow;

pub use outcome::Outcome;

/// The largest output that is stored, in bytes. Postgres' own limit is not far above, and it closes
/// the connection on anything larger.
const MAX_OUTPUT_BYTES: usize = 100_000_000;

/// The outcome of one run.
#[derive(Debug, Clone)]
pub struct Finish {
    /// The job.
    pub job: Uuid,
    /// The run that ended.
    pub start: RunStart,
    /// How it ended.
    pub outcome: Outcome,
}

impl Finish {
    /// The outcome of `run`.
    pub fn of(run: &RunId, outcome: Outcome) -> Self {
        Self { job: run.job, start: run.start(), outcome }
    }
}

/// Writes outcomes in the caller's transaction and returns the jobs to which they applied.
///
/// A finish whose run is no longer the current run of a running job changes nothing, and its job is
/// missing from the answer. Where a job would run again (retry, snooze, hand back) and a cancel was
/// requested meanwhile, the job ends cancelled instead.
///
/// # Errors
/// [`QueueError::OutputTooLarge`] past 100 MB; store such results elsewhere and return where they
/// are.
pub async fn finish(conn: &mut PgConnection, mut finishes: Vec<Finish>) -> Result<HashSet<Uuid>> {
    // Rows are locked in this order, so that transactions with overlapping batches do not deadlock.
    finishes.sort_unstable_by_key(|finish| finish.start.seq);
    let (completions, others): (Vec<_>, Vec<_>) =
        finishes.into_iter().partition(|finish| matches!(finish.outcome, Outcome::Completed { .. }));
    let completed = complete(conn, &completions).await?;
    let ended = end_otherwise(conn, &others).await?;
    let job_of: HashMap<i64, Uuid> =
        completions.iter().chain(&others).map(|finish| (finish.start.seq, finish.job)).collect();
    let applied = completed.iter().copied().chain(ended.iter().map(|(seq, ..)| *seq));
    let applied: HashSet<Uuid> = applied.map(|seq| job_of[&seq]).collect();
    enqueue_next(conn, completions, &completed).await?;
    let finals = ended.iter().filter(|(_, state, _)| state.is_final()).map(|(seq, ..)| *seq);
    workflow::propagate_ends(conn, completed.iter().copied().chain(finals).map(|seq| job_of[&seq]).collect())
        .await?;
    let available = ended.into_iter().filter(|(_, state, _)| *state == JobState::Available);
    notify_queues(conn, available.map(|(.., queue)| queue)).await?;
    Ok(applied)
}

/// Completes jobs and returns the sequence numbers of those that it applied to.
async fn complete(conn: &mut PgConnection, completions: &[Finish]) -> Result<HashSet<i64>> {
    if completions.is_empty() {
        return Ok(HashSet::new());
    }
    let mut outputs = Vec::with_capacity(completions.len());
    for finish in completions {
        let bytes = finish.outcome.output_bytes();
        if bytes > MAX_OUTPUT_BYTES {
            return Err(QueueError::OutputTooLarge { job: finish.job, bytes });
        }
        outputs.push(finish.outcome.output().map(Json));
    }
    let starts: RunStarts = completions.iter().map(|finish| finish.start).collect();
    let rows = sqlx::query_file_scalar!(
        "src/finish/complete.sql",
        &starts.seqs,
        &starts.runs,
        &starts.attempts,
        &starts.workers,
        &starts.times,
        &outputs as &[Option<Json<&Value>>],
        &starts.distinct_workers(),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().collect())
}

/// Writes outcomes other than completions. Returns the sequence number, new state and queue of each
/// job that they applied to.
async fn end_otherwise(conn: &mut PgConnection, finishes: &[Finish]) -> Result<Vec<(i64, JobState, String)>> {
    let mut columns = Columns::default();
    let written = finishes.iter().filter(|finish| columns.push(&finish.outcome));
    let starts: RunStarts = written.map(|finish| finish.start).collect();
    if starts.seqs.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query_file!(
        "src/finish/finish.sql",
        &starts.seqs,
        &starts.runs,
        &starts.attempts,
        &starts.workers,
        &starts.times,
        &columns.state,
        &columns.code as &[Option<String>],
        &columns.message as &[Option<String>],
        &columns.delay_s,
        &columns.refund,
        &columns.pattern as &[Option<String>],
        &starts.distinct_workers(),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.seq, row.state, row.queue)).collect())
}

/// Outcomes other than completions, as columns of a statement.
#[derive(Default)]
struct Columns {
    state: Vec<String>,
    code: Vec<Option<String>>,
    message: Vec<Option<String>>,
    delay_s: Vec<f64>,
    refund: Vec<i16>,
    pattern: Vec<Option<String>>,
}

impl Columns {
    /// Adds `outcome`, unless it is a completion; returns whether it was added.
    fn push(&mut self, outcome: &Outcome) -> bool {
        let (state, error, delay, refund) = match outcome {
            Outcome::Retry { code, message, delay } => {
                (JobState::Retryable, Some((code, message)), *delay, 0)
            }
            Outcome::Discarded { code, message } => {
                (JobState::Discarded, Some((code, message)), Duration::ZERO, 0)
            }
            Outcome::Snoozed(delay) => (JobState::Scheduled, None, *delay, 1),
            Outcome::Cancelled => (JobState::Cancelled, None, Duration::ZERO, 0),
            Outcome::HandedBack => (JobState::Available, None, Duration::ZERO, 1),
            Outcome::Completed { .. } | Outcome::AlreadyFinished => return false,
        };
        self.state.push(state.as_str().to_owned());
        self.code.push(error.map(|(code, _)| code.clone()));
        self.message.push(error.map(|(_, message)| message.clone()));
        self.delay_s.push(delay.as_secs_f64());
        self.refund.push(refund);
        self.pattern.push(error.map(|(_, message)| pattern(message)));
        true
    }
}

/// Enqueues the next jobs of the jobs that have completed.
async fn enqueue_next(
    conn: &mut PgConnection,
    completions: Vec<Finish>,
    completed: &HashSet<i64>,
) -> Result<()> {
    let mut next: HashMap<i64, Vec<NewJob>> = HashMap::new();
    for finish in completions {
        if let Outcome::Completed { next: jobs, .. } = finish.outcome
            && !jobs.is_empty()
            && completed.contains(&finish.start.seq)
        {
            next.insert(finish.start.seq, jobs);
        }
    }
    if next.is_empty() {
        return Ok(());
    }
    let parents = sqlx::query!(
        "select seq, traceparent, workflow_id, subject from queue.jobs
         where seq = any($1) order by seq",
        &next.keys().copied().collect::<Vec<_>>()
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut all = Vec::new();
    for parent in parents {
        for mut job in next.remove(&parent.seq).unwrap_or_default() {
            job.inherit(
                parent.traceparent.as_ref(),
                parent.workflow_id.map(|id| (id, parent.subject.as_ref())),
            );
            all.push(job);
        }
    }
    enqueue(conn, all).await?;
    Ok(())
}
