//! Finish: a run's outcome, its next jobs and its children, in one transaction, guarded by the run token.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::enqueue::{NewJob, enqueue};
use crate::error::{QueueError, Result};
use crate::listener::notify_queues;
use crate::state::JobState;
use crate::workflow;

/// How an attempt ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It succeeded.
    Completed {
        /// The job's output.
        output: Value,
        /// Jobs that are enqueued with the completion.
        next: Vec<NewJob>,
    },
    /// It failed and may try again after `delay`.
    Retry {
        /// A stable word for programs.
        code: String,
        /// What happened.
        message: String,
        /// How long to wait.
        delay: Duration,
    },
    /// It failed for good.
    Discarded {
        /// A stable word for programs.
        code: String,
        /// What happened.
        message: String,
    },
    /// It runs again after this long; the attempt does not count.
    Snoozed(Duration),
    /// It was stopped by a cancel.
    Cancelled,
    /// Its worker shuts down; another one takes it at once; the attempt does not count.
    HandedBack,
    /// The handler committed its own completion through `finish_in`.
    AlreadyFinished,
}

/// The largest output that is stored, in bytes. Postgres' own limit is not far off, and it hangs up on what is past it.
const MOST_OUTPUT: usize = 100_000_000;

impl Outcome {
    /// About what its output takes.
    pub(crate) fn output_bytes(&self) -> usize {
        match self {
            Self::Completed { output, .. } => bytes(output),
            _ => 0,
        }
    }
}

fn bytes(value: &Value) -> usize {
    8 + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(bytes).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + bytes(value)).sum(),
    }
}

/// The outcome of one run.
#[derive(Debug, Clone)]
pub struct Finish {
    /// The job.
    pub job: Uuid,
    /// The run that speaks.
    pub run: i64,
    /// How it ended.
    pub outcome: Outcome,
}

/// What a finish is as a row.
#[derive(Default)]
struct Columns {
    job: Vec<Uuid>,
    run: Vec<i64>,
    state: Vec<String>,
    output: Vec<Option<Value>>,
    code: Vec<Option<String>>,
    message: Vec<Option<String>>,
    delay_s: Vec<f64>,
    refund: Vec<i16>,
}

impl Columns {
    fn push(&mut self, finish: &Finish) {
        let (state, output, error, delay, refund) = match &finish.outcome {
            Outcome::Completed { output, .. } => {
                (JobState::Completed, Some(output.clone()), None, Duration::ZERO, 0)
            }
            Outcome::Retry { code, message, delay } => {
                (JobState::Retryable, None, Some((code, message)), *delay, 0)
            }
            Outcome::Discarded { code, message } => {
                (JobState::Discarded, None, Some((code, message)), Duration::ZERO, 0)
            }
            Outcome::Snoozed(delay) => (JobState::Scheduled, None, None, *delay, 1),
            Outcome::Cancelled => (JobState::Cancelled, None, None, Duration::ZERO, 0),
            Outcome::HandedBack => (JobState::Available, None, None, Duration::ZERO, 1),
            Outcome::AlreadyFinished => return,
        };
        self.job.push(finish.job);
        self.run.push(finish.run);
        self.state.push(state.as_str().to_owned());
        self.output.push(output);
        self.code.push(error.map(|(code, _)| code.clone()));
        self.message.push(error.map(|(_, message)| message.clone()));
        self.delay_s.push(delay.as_secs_f64());
        self.refund.push(refund);
    }
}

/// Writes outcomes in the caller's transaction and returns the jobs they applied to.
///
/// A finish whose run is no longer the current one of a running job changes nothing: its job is missing from the
/// answer. A run that would go on (retry, snooze, hand back) ends cancelled when a cancel was asked for meanwhile.
///
/// # Errors
/// [`QueueError::OutputTooLarge`] past 100 MB; store such results elsewhere and return where they are.
pub async fn finish(conn: &mut PgConnection, finishes: Vec<Finish>) -> Result<HashSet<Uuid>> {
    let mut columns = Columns::default();
    for finish in &finishes {
        let bytes = finish.outcome.output_bytes();
        if bytes > MOST_OUTPUT {
            return Err(QueueError::OutputTooLarge { job: finish.job, bytes });
        }
        columns.push(finish);
    }
    let rows = sqlx::query_file!(
        "src/finish.sql",
        &columns.job,
        &columns.run,
        &columns.state,
        &columns.output as &[Option<Value>],
        &columns.code as &[Option<String>],
        &columns.message as &[Option<String>],
        &columns.delay_s,
        &columns.refund,
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut ended = Vec::new();
    let mut woken = Vec::new();
    let mut applied = HashMap::new();
    for row in rows {
        let state: JobState = row.state.parse().expect("the enum's names are the states'");
        if state.is_final() {
            ended.push(row.id);
        } else if state == JobState::Available {
            woken.push(row.queue);
        }
        applied.insert(row.id, Legacy { traceparent: row.traceparent, workflow: row.workflow_id });
    }
    enqueue_next(conn, finishes, &applied).await?;
    workflow::settle(conn, ended).await?;
    notify_queues(conn, woken).await?;
    Ok(applied.into_keys().collect())
}

/// What a job hands on to its next ones.
struct Legacy {
    traceparent: Option<String>,
    workflow: Option<Uuid>,
}

async fn enqueue_next(
    conn: &mut PgConnection,
    finishes: Vec<Finish>,
    applied: &HashMap<Uuid, Legacy>,
) -> Result<()> {
    let mut all = Vec::new();
    for finish in finishes {
        let Some(legacy) = applied.get(&finish.job) else { continue };
        if let Outcome::Completed { next, .. } = finish.outcome {
            all.extend(next.into_iter().map(|mut job| {
                job.inherit(legacy.traceparent.as_ref(), legacy.workflow);
                job
            }));
        }
    }
    if !all.is_empty() {
        enqueue(conn, all).await?;
    }
    Ok(())
}
