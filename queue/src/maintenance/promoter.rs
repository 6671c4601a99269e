//! Makes scheduled and retryable jobs available when their time has come.

use sqlx::PgPool;

use crate::error::Result;
use crate::worker::listener::notify_queues;

/// Promotes what is due, in batches; returns how many.
pub async fn run_once(pool: &PgPool) -> Result<u64> {
    let mut promoted = 0;
    loop {
        let mut tx = pool.begin().await?;
        let queues = sqlx::query_scalar!(
            "with due as (
                select id from queue.jobs
                where cold_state in ('scheduled', 'retryable') and scheduled_at <= queue.now()
                order by scheduled_at limit 1000 for update skip locked
            )
            update queue.jobs j set state = 'available' from due where j.id = due.id
            returning j.queue"
        )
        .fetch_all(&mut *tx)
        .await?;
        let count = queues.len() as u64;
        notify_queues(&mut tx, queues).await?;
        tx.commit().await?;
        promoted += count;
        if count < 1000 {
            return Ok(promoted);
        }
    }
}
