//! *Retry failed* of a workflow: at once where few jobs have failed, else by a job that takes its
//! time.

use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::control::bulk::BulkAction;
use weirgate_queue::read::JobFilter;
use weirgate_queue::{JobState, enqueue, workflow};

use super::bulk_jobs::BulkJobs;

/// Failed jobs that are retried in the caller's transaction; with more of them, a job does it.
const AT_ONCE: u32 = 200;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkflowRetry {
    /// No job of it has failed.
    NothingFailed,
    /// It is done.
    Done {
        /// Failed jobs that live again; what was cancelled because of them does, too.
        retried: u64,
        /// Failed jobs that cannot: the same job is on its way.
        refused: u64,
    },
    /// There are so many that this job retries them, bit by bit.
    Begun(Uuid),
}

impl WorkflowRetry {
    /// How many jobs had failed before and after, or the job that retries them: for the audit.
    pub fn detail(self) -> Value {
        match self {
            Self::NothingFailed => {
                json!({ "before": { "failed_jobs": 0 }, "after": { "failed_jobs": 0 } })
            }
            Self::Done { retried, refused } => json!({
                "before": { "failed_jobs": retried + refused }, "after": { "failed_jobs": refused },
            }),
            Self::Begun(job) => json!({ "before": null, "after": { "job": job } }),
        }
    }
}

/// Retries the discarded jobs of a workflow, and with them what was cancelled because of them. A job that does so names who asked for it: `by`.
///
/// # Errors
/// [`weirgate_queue::QueueError::UnknownWorkflow`].
pub async fn retry_failed(
    conn: &mut PgConnection,
    id: Uuid,
    by: &str,
) -> weirgate_queue::Result<WorkflowRetry> {
    if workflow::has_more_failed_than(conn, id, AT_ONCE).await? {
        let states = Some(vec![JobState::Discarded]);
        let filter = JobFilter { workflow: Some(id), states, ..JobFilter::default() };
        let bulk = BulkJobs { action: BulkAction::Retry, filter };
        return Ok(WorkflowRetry::Begun(enqueue(conn, vec![bulk.job()?.enqueued_by(by)]).await?[0].id));
    }
    let workflow::RetryCounts { retried, refused } = workflow::retry_failed(conn, id, AT_ONCE).await?;
    Ok(match retried + refused {
        0 => WorkflowRetry::NothingFailed,
        _ => WorkflowRetry::Done { retried, refused },
    })
}
