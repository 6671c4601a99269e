//! Checkpoints: a long job commits its work piece by piece, each with the place it has come to.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{Postgres, Transaction};

use crate::claim::mark;
use crate::error::QueueError;
use crate::job::{JobContext, JobError};

impl<A> JobContext<A> {
    /// What [`checkpoint_in`](Self::checkpoint_in) stored last, in this attempt or one before.
    pub async fn checkpoint<T: DeserializeOwned>(&self) -> Result<Option<T>, JobError> {
        let Some(run) = &self.run else { return Ok(None) };
        let stored = sqlx::query_scalar!("select output from queue.jobs where id = $1", run.job)
            .fetch_optional(&self.pool)
            .await?
            .flatten();
        Ok(stored.map(serde_json::from_value).transpose()?)
    }

    /// Commits what the handler wrote in `tx` and `output`, the sum of its work so far, together or not at all. The next
    /// attempt finds `output` as its [`checkpoint`](Self::checkpoint), so that no piece of the work is done twice; the job
    /// shows it, and `done` of `total`, until then.
    ///
    /// # Errors
    /// [`QueueError::Stale`] when the job is no longer this run's; nothing is written then.
    pub async fn checkpoint_in<T: Serialize>(
        &self,
        mut tx: Transaction<'static, Postgres>,
        output: &T,
        done: u64,
        total: Option<u64>,
        message: &str,
    ) -> Result<(), JobError> {
        if let Some(run) = &self.run {
            mark::mark_own(&mut tx, std::iter::once(run.start()).collect()).await?;
            let applied = sqlx::query!(
                "update queue.jobs set output = $3, progress = $4 where id = $1 and run = $2 and state = 'running'",
                run.job,
                run.run,
                serde_json::to_value(output)?,
                serde_json::json!({ "done": done, "total": total, "message": message })
            )
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if applied == 0 {
                return Err(QueueError::Stale { job: run.job, run: run.run }.into());
            }
        }
        tx.commit().await?;
        Ok(())
    }
}
