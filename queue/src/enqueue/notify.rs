//! Notifications for workers that wait for jobs of a queue.

use sqlx::PgConnection;

use crate::error::Result;

/// The channel that carries names of queues. The trigger that sees new jobs sends on it, too.
pub(crate) const JOBS_CHANNEL: &str = "weirgate_jobs";

/// Wakes the workers of `queues` when the transaction commits. Postgres folds equal notifications
/// of one transaction into one.
pub(crate) async fn notify_queues(
    conn: &mut PgConnection,
    queues: impl IntoIterator<Item = String>,
) -> Result<()> {
    let mut queues: Vec<String> = queues.into_iter().collect();
    if queues.is_empty() {
        return Ok(());
    }
    queues.sort_unstable();
    queues.dedup();
    sqlx::query!(
        r#"select pg_notify($1, queue) as "notified: ()" from unnest($2::text[]) as queue"#,
        JOBS_CHANNEL,
        &queues
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}
