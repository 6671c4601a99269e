//! What a request enqueues for a tenant: a job, or a workflow.

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::{Enqueued, NewJob, Result, Workflow, enqueue};

/// What is to be enqueued.
#[expect(clippy::large_enum_variant, reason = "most are single jobs, which are moved few times")]
pub enum Plan {
    /// One job.
    Job(NewJob),
    /// A workflow. While its last job would duplicate a live one, that one's workflow is the
    /// answer.
    Workflow {
        /// All its jobs.
        workflow: Workflow,
        /// The name of the one that stands for the whole: it is final when all are.
        last: &'static str,
        /// The id of that one.
        last_id: Uuid,
        /// What was asked for, in the words of the audit.
        asked: Value,
    },
}

impl Plan {
    /// The job that stands for all of it.
    pub(crate) fn id(&self) -> Uuid {
        match self {
            Self::Job(job) => job.id,
            Self::Workflow { last_id, .. } => *last_id,
        }
    }

    /// Enqueues it, and with `force` also where the same is on its way already.
    pub(crate) async fn enqueue(self, conn: &mut PgConnection, force: bool) -> Result<Enqueued> {
        match self {
            Self::Job(job) => {
                let job = if force { job.not_unique() } else { job };
                Ok(enqueue(conn, vec![job]).await?[0])
            }
            Self::Workflow { workflow, last, .. } if !force => workflow.enqueue_once(conn, last).await,
            Self::Workflow { workflow, last_id, .. } => {
                let forced = |job: NewJob| if job.id == last_id { job.not_unique() } else { job };
                enqueue(conn, workflow.into_jobs()?.into_iter().map(forced).collect()).await?;
                Ok(Enqueued { id: last_id, duplicate: false })
            }
        }
    }
}
