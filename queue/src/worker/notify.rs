//! Notifications that tell workers to stop a job, to drain, or to elect a leader.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;

/// Carries ids of jobs that were cancelled while they ran.
pub(super) const CANCEL_CHANNEL: &str = "weirgate_cancel";
/// Says that the leader has stepped down.
pub(super) const LEADER_CHANNEL: &str = "weirgate_leader";
/// Says that a worker was asked to drain.
pub(super) const DRAIN_CHANNEL: &str = "weirgate_drain";

/// Tells the worker that runs `job` to stop it.
pub(crate) async fn notify_cancel(conn: &mut PgConnection, job: Uuid) -> Result<()> {
    sqlx::query!(r#"select pg_notify($1, $2) as "notified: ()""#, CANCEL_CHANNEL, job.to_string())
        .fetch_all(conn)
        .await?;
    Ok(())
}

/// Tells the workers that run `jobs` to stop them.
pub(crate) async fn notify_cancels(conn: &mut PgConnection, jobs: &[Uuid]) -> Result<()> {
    sqlx::query!(
        r#"select pg_notify($1, job::text) as "notified: ()" from unnest($2::uuid[]) as job"#,
        CANCEL_CHANNEL,
        jobs
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// Tells the other workers that the leader has stepped down.
pub(crate) async fn notify_leader(conn: &mut PgConnection) -> Result<()> {
    sqlx::query!(r#"select pg_notify($1, '') as "notified: ()""#, LEADER_CHANNEL).fetch_all(conn).await?;
    Ok(())
}

/// Tells all workers that one of them was asked to drain.
pub(crate) async fn notify_drain(conn: &mut PgConnection) -> Result<()> {
    sqlx::query!(r#"select pg_notify($1, '') as "notified: ()""#, DRAIN_CHANNEL).fetch_all(conn).await?;
    Ok(())
}
