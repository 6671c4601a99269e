//! A job as it is stored.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use crate::job::state::JobState;
use crate::lanes::AvailableJob;

/// A job with the facts that explain why it does not run.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of queue.jobs, commented in the migration")]
pub struct JobRow {
    pub id: Uuid,
    pub seq: i64,
    pub tenant_id: Uuid,
    pub queue: String,
    pub kind: String,
    pub(crate) state: JobState,
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
    /// What cancelled it, or asked it to stop: itself, its workflow, its backfill, a bulk action or
    /// a parent.
    pub cancelled_by: Option<Uuid>,
    /// The jobs that it waits on, or waited on.
    pub depends_on: Vec<Uuid>,
    /// While it waits, the first job that it waits on.
    pub waits_on: Option<Json<WaitsOn>>,
    /// The database's time when this was read.
    pub observed_at: DateTime<Utc>,
    /// Whether a live worker claims from its queue; null unless it is available.
    pub has_worker: Option<bool>,
    /// Whether it has an output that is left out here, as it is larger than 64 KiB;
    /// [`output()`](crate::read::output()) reads it.
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
    /// Its state.
    pub state: JobState,
}

/// About how many bytes a job has as JSON beside its own values.
const FIXED_BYTES: usize = 1500;

impl JobRow {
    /// The state of the job.
    pub fn state(&self) -> JobState {
        self.state
    }

    /// What the job's position in its lane depends on; `None` unless it is available.
    pub fn available(&self) -> Option<AvailableJob<'_>> {
        (self.state() == JobState::Available).then_some(AvailableJob {
            id: self.id,
            queue: &self.queue,
            tenant: self.tenant_id,
            backfill: self.backfill_id,
            priority: self.priority,
            seq: self.seq,
            has_worker: self.has_worker == Some(true),
        })
    }

    /// About how many bytes the job has as JSON.
    pub fn bytes(&self) -> usize {
        let parts = [Some(&self.args), self.output.as_ref(), Some(&self.errors), self.progress.as_ref()];
        parts.into_iter().flatten().map(json_bytes).sum::<usize>() + 40 * self.depends_on.len() + FIXED_BYTES
    }
}

/// How many bytes `value` has as JSON.
fn json_bytes(value: &Value) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
            self.0 += buf.len();
            Ok(buf.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Counter(0);
    // Neither the counter nor writing a value fails.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}
