//! Creates backfills.

use az::SaturatingAs;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::settings::{BackfillSettings, notify_settings_changed};
use crate::error::Result;

/// A backfill that is about to be made.
#[derive(Debug, Clone)]
pub struct NewBackfill {
    /// Names what its slices are, for the application's [`Slices`](crate::backfill::Slices).
    pub kind: String,
    /// What was requested, for people to read.
    pub spec: Value,
    /// What its slices are made from, for the application's [`Slices`](crate::backfill::Slices).
    pub plan: Value,
    /// Number of slices.
    pub total: u64,
    /// The queues of its jobs.
    pub queues: Vec<String>,
    /// The priority of its jobs, −100 to 100; higher ones start first.
    pub priority: i16,
    /// How much of the fleet it may take.
    pub settings: BackfillSettings,
    /// The W3C trace context of the request that makes it.
    pub traceparent: Option<String>,
}

/// Stores a backfill under `id` in the caller's transaction: one row, however many slices it has.
/// The slices become jobs after the commit.
///
/// Claims from its queues wait while the caller's transaction is open: commit soon.
pub async fn create(conn: &mut PgConnection, id: Uuid, new: &NewBackfill) -> Result<()> {
    sqlx::query!(
        "insert into queue.backfills (id, kind, spec, plan, total, queues, priority, share, max_running, traceparent)
         values ($1, $2, $3, $4, $5, $6, $7, $8::float8, $9, $10)",
        id,
        new.kind,
        new.spec,
        new.plan,
        new.total.saturating_as::<i64>(),
        &new.queues,
        new.priority,
        new.settings.share,
        new.settings.max_running.map(az::saturating_cast::<u32, i32>),
        new.traceparent
    )
    .execute(&mut *conn)
    .await?;
    notify_settings_changed(conn, &new.queues).await
}
