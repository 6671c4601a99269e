//! Changes of settings. Each takes a claim sequence number, so that the next claim of any worker
//! knows it.
//!
//! [`change_lane`] and [`change_queue`] change field by field: a field that is not named keeps its
//! value, whoever else changes it at the same time.

use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::enqueue::notify::notify_queues;
use crate::error::Result;
use crate::lanes::limits::{LaneLimits, QueueLimits};
use crate::lanes::log;
use crate::lanes::settings::LaneSettings;

/// What to change of a lane's own settings.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LaneChange {
    /// Whether no job of it starts.
    pub paused: Option<bool>,
    /// Its own limits; `Some(None)` gives it back to the queue's.
    pub limits: Option<Option<LaneLimits>>,
}

impl From<LaneSettings> for LaneChange {
    fn from(LaneSettings { paused, limits }: LaneSettings) -> Self {
        Self { paused: Some(paused), limits: Some(limits) }
    }
}

/// What to change of a queue's settings.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct QueueChange {
    /// The limits of all its lanes together.
    pub limits: Option<QueueLimits>,
    /// The limits of each lane that has none of its own.
    pub lane_limits: Option<LaneLimits>,
}

impl QueueChange {
    /// All limits anew.
    pub fn to(limits: QueueLimits, lane_limits: LaneLimits) -> Self {
        Self { limits: Some(limits), lane_limits: Some(lane_limits) }
    }
}

/// Changes the lane of `tenant`. The change counts from the next claim of any worker on. Claims of
/// the queue wait until the caller's transaction ends; change several queues in the order of their
/// names.
pub async fn change_lane(
    conn: &mut PgConnection,
    queue: &str,
    tenant: Uuid,
    change: LaneChange,
) -> Result<()> {
    sqlx::query!(
        "insert into queue.lanes as lane (tenant_id, queue, paused, limits) values ($1, $2, coalesce($3, false), $5)
         on conflict (tenant_id, queue) do update
         set paused = coalesce($3, lane.paused), limits = case when $4 then $5 else lane.limits end",
        tenant,
        queue,
        change.paused,
        change.limits.is_some(),
        change.limits.flatten().map(Json) as _
    )
    .execute(&mut *conn)
    .await?;
    publish(conn, queue).await
}

/// Changes the limits of `queue`. The change counts from the next claim of any worker on.
pub async fn change_queue(conn: &mut PgConnection, queue: &str, change: QueueChange) -> Result<()> {
    sqlx::query!(
        "insert into queue.queues as q (name, limits, lane_limits) values ($1, coalesce($2::jsonb, '{}'), coalesce($3::jsonb, '{}'))
         on conflict (name) do update set limits = coalesce($2, q.limits), lane_limits = coalesce($3, q.lane_limits)",
        queue,
        change.limits.map(Json) as _,
        change.lane_limits.map(Json) as _
    )
    .execute(&mut *conn)
    .await?;
    publish(conn, queue).await
}

/// Pauses `queue`, or resumes it. Jobs that run go on.
pub async fn pause_queue(conn: &mut PgConnection, queue: &str, paused: bool) -> Result<()> {
    sqlx::query!(
        "insert into queue.queues (name, paused) values ($1, $2) on conflict (name) do update set paused = $2",
        queue,
        paused
    )
    .execute(&mut *conn)
    .await?;
    publish(conn, queue).await
}

/// Makes a change of settings count: takes a claim sequence number, so that no claim is planned on
/// the old settings after this commits, and wakes the workers.
///
/// Claims of the queue wait while the caller's transaction is open: commit soon.
pub async fn publish(conn: &mut PgConnection, queue: &str) -> Result<()> {
    log::take_claim_seq(conn, queue).await?;
    notify_queues(conn, [queue.to_owned()]).await
}
