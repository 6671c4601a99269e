//! Changes backfills: pause, resume, settings, cancel, retry of failed jobs.

use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::progress;
use super::settings::{BackfillSettings, notify_settings_changed};
use super::state::BackfillState;
use super::steps::cancel_batch;
use crate::error::{QueueError, Result};

/// Pauses a backfill: none of its jobs starts, and no slice becomes a job, until it is resumed.
///
/// # Errors
/// [`QueueError::UnknownBackfill`]; [`QueueError::WrongBackfillState`] when it has ended or is
/// being cancelled.
pub async fn pause(conn: &mut PgConnection, id: Uuid) -> Result<()> {
    set_paused(conn, id, true).await
}

/// Resumes a paused backfill.
///
/// # Errors
/// As [`pause`].
pub async fn resume(conn: &mut PgConnection, id: Uuid) -> Result<()> {
    set_paused(conn, id, false).await
}

async fn set_paused(conn: &mut PgConnection, id: Uuid, paused: bool) -> Result<()> {
    let locked = lock(conn, id).await?;
    locked.refuse_when_ended(id)?;
    if locked.paused != paused {
        sqlx::query!("update queue.backfills set paused = $2 where id = $1", id, paused)
            .execute(&mut *conn)
            .await?;
        notify_settings_changed(conn, &locked.queues).await?;
    }
    Ok(())
}

/// Changes how much of the fleet a backfill may take, from the next claim on.
///
/// # Errors
/// As [`pause`].
pub async fn update_settings(
    conn: &mut PgConnection,
    id: Uuid,
    change: impl FnOnce(&mut BackfillSettings),
) -> Result<()> {
    let locked = lock(conn, id).await?;
    locked.refuse_when_ended(id)?;
    let mut settings = locked.settings;
    change(&mut settings);
    sqlx::query!(
        "update queue.backfills set share = $2::float8, max_running = $3 where id = $1",
        id,
        settings.share,
        settings.max_running.map(az::saturating_cast::<u32, i32>)
    )
    .execute(&mut *conn)
    .await?;
    notify_settings_changed(conn, &locked.queues).await
}

/// Cancels a backfill: no more slices become jobs, its waiting jobs are cancelled, its running jobs
/// are asked to stop. It is final when they have stopped. A final one stays as it is.
///
/// # Errors
/// [`QueueError::UnknownBackfill`].
pub async fn cancel(pool: &PgPool, id: Uuid) -> Result<()> {
    let mut tx = pool.begin().await?;
    request_cancel(&mut tx, id).await?;
    tx.commit().await?;
    // If this is interrupted, the expander carries the cancel on.
    while cancel_batch(pool, id).await? > 0 {}
    Ok(())
}

/// Records in the caller's transaction that the backfill is to be cancelled. Its jobs are cancelled
/// after the commit: at once by [`cancel`], else by the workers' expander a little later.
///
/// # Errors
/// [`QueueError::UnknownBackfill`].
pub async fn request_cancel(conn: &mut PgConnection, id: Uuid) -> Result<()> {
    let locked = lock(conn, id).await?;
    if locked.state.is_final() {
        return Ok(());
    }
    // It is paused as well, so that no claim takes its jobs from now on.
    sqlx::query!(
        "update queue.backfills
         set paused = true, cancelled_at = coalesce(cancelled_at, queue.now()), retry_requested_at = null where id = $1",
        id
    )
    .execute(&mut *conn)
    .await?;
    notify_settings_changed(conn, &locked.queues).await
}

/// Requests that its discarded jobs are retried; the expander does so a few at a time. A backfill
/// that had ended runs again. Returns whether it has discarded jobs.
///
/// # Errors
/// [`QueueError::UnknownBackfill`]; [`QueueError::WrongBackfillState`] when it was cancelled.
pub async fn retry_failed(conn: &mut PgConnection, id: Uuid) -> Result<bool> {
    let locked = lock(conn, id).await?;
    if matches!(locked.state, BackfillState::Cancelling | BackfillState::Cancelled) {
        let why = "create a new one with reprocess \"failed\" to run its failed slices again";
        return Err(QueueError::WrongBackfillState { backfill: id, state: locked.state, why });
    }
    let any = sqlx::query_scalar!(
        r#"select exists (
            select from queue.jobs where backfill_id = $1 and backfill_id is not null and cold_state = 'discarded') as "any!""#,
        id
    )
    .fetch_one(&mut *conn)
    .await?;
    if any {
        sqlx::query!(
            "update queue.backfills
             set retry_requested_at = queue.now(), retried_to = 0, finished_at = null, counts = null where id = $1",
            id
        )
        .execute(&mut *conn)
        .await?;
        notify_settings_changed(conn, &locked.queues).await?;
    }
    Ok(any)
}

/// A backfill whose row is locked, and what decides whether it may be changed.
struct LockedBackfill {
    paused: bool,
    settings: BackfillSettings,
    queues: Vec<String>,
    state: BackfillState,
}

impl LockedBackfill {
    fn refuse_when_ended(&self, id: Uuid) -> Result<()> {
        let has_ended = self.state.is_final() || self.state == BackfillState::Cancelling;
        let why = "only a running or paused backfill can be changed";
        if has_ended {
            return Err(QueueError::WrongBackfillState { backfill: id, state: self.state, why });
        }
        Ok(())
    }
}

async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<LockedBackfill> {
    let row = sqlx::query!(
        r#"select paused, share::text::float8 as "share!", max_running, queues, cancelled_at is not null as "cancelled!",
            finished_at is not null as "finished!", counts as "counts: sqlx::types::Json<crate::job::state::StateCounts>"
           from queue.backfills where id = $1 for update"#,
        id
    )
    .fetch_optional(conn)
    .await?
    .ok_or(QueueError::UnknownBackfill(id))?;
    let counts = row.counts.map(|json| json.0).unwrap_or_default();
    Ok(LockedBackfill {
        paused: row.paused,
        settings: BackfillSettings { share: row.share, max_running: row.max_running.map(i32::unsigned_abs) },
        queues: row.queues,
        state: progress::state(row.paused, row.cancelled, row.finished, &counts),
    })
}

/// What the audit says of a backfill before and after a change; see [`crate::control::target`].
pub(crate) async fn describe(conn: &mut PgConnection, id: Uuid) -> Result<Option<Value>> {
    let row = sqlx::query!(
        r#"select paused, share::text::float8 as "share!", max_running, cancelled_at is not null as "cancelled!",
            finished_at is not null as "finished!", counts as "counts: sqlx::types::Json<crate::job::state::StateCounts>",
            retry_requested_at is not null as "retries_failed!"
           from queue.backfills where id = $1"#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let counts = row.counts.map(|json| json.0).unwrap_or_default();
        let state = progress::state(row.paused, row.cancelled, row.finished, &counts);
        json!({
            "state": state.as_str(), "share": row.share, "max_running": row.max_running,
            "retries_failed": row.retries_failed,
        })
    }))
}
