//! Backfills: a range as an object. Its slices are numbered from 0 and become jobs piece by piece,
//! so that making one of ten million slices writes one row.
//!
//! What a slice is only the application knows, which says so as [`Slices`]. The expander
//! ([`crate::maintenance::expander`]) keeps a bounded number of slices on their way: in one
//! transaction it stores the jobs of the next ones and moves on `next_slice`, so that a crash
//! neither loses a slice nor makes one twice. A tenant that has enough of them on their way is left
//! behind: the backfill goes on without it, and it follows with a place of its own.

mod expand;
mod progress;
mod room;
mod steps;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::error::{QueueError, Result};
use crate::lanes::limits;

pub use expand::{Expansion, Look, Slice, Slices, Whose};
pub use progress::{Backfill, get, list, unfinished};

pub(crate) use expand::{Window, catch_up, expand, look};
pub(crate) use progress::{Sample, done};
pub(crate) use room::Room;
pub(crate) use steps::{cancel_some, finish, retry_some, sample};

/// Where a backfill stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackfillState {
    /// Its slices become jobs and are run.
    Running,
    /// Nothing of it starts; what runs goes on running.
    Paused,
    /// Its jobs are being stopped.
    Cancelling,
    /// Every slice was done or skipped. Final.
    Completed,
    /// Every slice is over, but jobs were discarded or cancelled. Final, unless these are retried.
    CompletedWithFailures,
    /// Somebody stopped it. Final.
    Cancelled,
}

impl BackfillState {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Running,
        Self::Paused,
        Self::Cancelling,
        Self::Completed,
        Self::CompletedWithFailures,
        Self::Cancelled,
    ];

    /// The name in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Cancelling => "cancelling",
            Self::Completed => "completed",
            Self::CompletedWithFailures => "completed_with_failures",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more happens to it by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::CompletedWithFailures | Self::Cancelled)
    }
}

impl fmt::Display for BackfillState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much of the fleet a backfill may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// What part of the fleet it may take while live work waits, above 0 to 1; all of it while none
    /// does.
    pub share: f64,
    /// Most of its jobs at once in a queue, at least 1; none for any number.
    pub max_running: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { share: 0.25, max_running: None }
    }
}

/// A backfill about to be made.
#[derive(Debug, Clone)]
pub struct NewBackfill {
    /// What its slices are, for the application's [`Slices`].
    pub kind: String,
    /// What was asked for, for people.
    pub spec: Value,
    /// What the slices are made from, for the application's [`Slices`].
    pub plan: Value,
    /// Number of slices.
    pub total: u64,
    /// The queues that its jobs wait in.
    pub queues: Vec<String>,
    /// Of its jobs; higher first, −100 to 100.
    pub priority: i16,
    /// How much it may take.
    pub settings: Settings,
    /// W3C trace context of the request that makes it.
    pub traceparent: Option<String>,
}

/// Stores a backfill under `id` in the caller's transaction: one row, however many slices. They
/// become jobs after that.
///
/// Claims of its queues wait while the caller's transaction is open: commit soon.
pub async fn create(conn: &mut PgConnection, id: Uuid, new: &NewBackfill) -> Result<()> {
    sqlx::query!(
        "insert into queue.backfills (id, kind, spec, plan, total, queues, priority, share, max_running, traceparent)
         values ($1, $2, $3, $4, $5, $6, $7, $8::float8, $9, $10)",
        id,
        new.kind,
        new.spec,
        new.plan,
        to_i64(new.total),
        &new.queues,
        new.priority,
        new.settings.share,
        new.settings.max_running.map(|most| i32::try_from(most).unwrap_or(i32::MAX)),
        new.traceparent
    )
    .execute(&mut *conn)
    .await?;
    settings_changed(conn, &new.queues).await
}

/// Nothing of it starts until it is resumed, and no more slices become jobs.
///
/// # Errors
/// [`QueueError::UnknownBackfill`]; [`QueueError::WrongBackfillState`] when it is over or being
/// cancelled.
pub async fn pause(conn: &mut PgConnection, id: Uuid) -> Result<()> {
    set_paused(conn, id, true).await
}

/// Lets it go on.
///
/// # Errors
/// As [`pause`].
pub async fn resume(conn: &mut PgConnection, id: Uuid) -> Result<()> {
    set_paused(conn, id, false).await
}

async fn set_paused(conn: &mut PgConnection, id: Uuid, paused: bool) -> Result<()> {
    let row = lock(conn, id).await?;
    row.refuse_when_over(id)?;
    if row.paused != paused {
        sqlx::query!("update queue.backfills set paused = $2 where id = $1", id, paused)
            .execute(&mut *conn)
            .await?;
        settings_changed(conn, &row.queues).await?;
    }
    Ok(())
}

/// Sets how much it may take, from the next claim on.
///
/// # Errors
/// As [`pause`].
pub async fn set(conn: &mut PgConnection, id: Uuid, change: impl FnOnce(&mut Settings)) -> Result<()> {
    let row = lock(conn, id).await?;
    row.refuse_when_over(id)?;
    let mut settings = row.settings;
    change(&mut settings);
    sqlx::query!(
        "update queue.backfills set share = $2::float8, max_running = $3 where id = $1",
        id,
        settings.share,
        settings.max_running.map(|most| i32::try_from(most).unwrap_or(i32::MAX))
    )
    .execute(&mut *conn)
    .await?;
    settings_changed(conn, &row.queues).await
}

/// Stops it: no more slices become jobs, those that wait are cancelled, those that run are told to
/// stop. It is final when they have. One that is final already stays as it is.
///
/// # Errors
/// [`QueueError::UnknownBackfill`].
pub async fn cancel(pool: &PgPool, id: Uuid) -> Result<()> {
    let mut tx = pool.begin().await?;
    begin_cancel(&mut tx, id).await?;
    tx.commit().await?;
    // Should this break off, the expander goes on with it.
    while cancel_some(pool, id).await? > 0 {}
    Ok(())
}

/// Says that it is to be stopped, in the caller's transaction. Its jobs are stopped after the
/// commit: soon by the workers, at once by [`cancel`].
///
/// # Errors
/// [`QueueError::UnknownBackfill`].
pub async fn begin_cancel(conn: &mut PgConnection, id: Uuid) -> Result<()> {
    let row = lock(conn, id).await?;
    if row.state.is_final() {
        return Ok(());
    }
    // Paused as well, so that claims leave it alone from here on.
    sqlx::query!(
        "update queue.backfills
         set paused = true, cancelled_at = coalesce(cancelled_at, queue.now()), retry_requested_at = null where id = $1",
        id
    )
    .execute(&mut *conn)
    .await?;
    settings_changed(conn, &row.queues).await
}

/// Gives its discarded jobs another life, a few at a time from now on; one that was over runs
/// again. Returns whether there are any.
///
/// # Errors
/// [`QueueError::UnknownBackfill`]; [`QueueError::WrongBackfillState`] when it was cancelled.
pub async fn retry_failed(conn: &mut PgConnection, id: Uuid) -> Result<bool> {
    let row = lock(conn, id).await?;
    if matches!(row.state, BackfillState::Cancelling | BackfillState::Cancelled) {
        let why = "make a new one with reprocess \"failed\" to run its failed slices again";
        return Err(QueueError::WrongBackfillState { backfill: id, state: row.state, why });
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
        settings_changed(conn, &row.queues).await?;
    }
    Ok(any)
}

/// What decides whether a backfill may be changed.
struct Locked {
    paused: bool,
    settings: Settings,
    queues: Vec<String>,
    state: BackfillState,
}

impl Locked {
    fn refuse_when_over(&self, id: Uuid) -> Result<()> {
        let over = self.state.is_final() || self.state == BackfillState::Cancelling;
        let why = "only one that is running or paused can be changed";
        if over {
            return Err(QueueError::WrongBackfillState { backfill: id, state: self.state, why });
        }
        Ok(())
    }
}

async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<Locked> {
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
    Ok(Locked {
        paused: row.paused,
        settings: Settings { share: row.share, max_running: row.max_running.map(i32::unsigned_abs) },
        queues: row.queues,
        state: progress::state(row.paused, row.cancelled, row.finished, &counts),
    })
}

/// How it stands, for [`crate::control::standing`].
pub(crate) async fn standing(conn: &mut PgConnection, id: Uuid) -> Result<Option<Value>> {
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

/// The queues are told in one order, so that two such changes cannot wait on each other.
async fn settings_changed(conn: &mut PgConnection, queues: &[String]) -> Result<()> {
    let mut queues: Vec<&String> = queues.iter().collect();
    queues.sort_unstable();
    for queue in queues {
        limits::changed(conn, queue).await?;
    }
    Ok(())
}

fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
