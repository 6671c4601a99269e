//! Changes of settings, field by field: what is not named stays, whoever else changes at the same time.

use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::Result;
use crate::lanes::limits::{self, LaneLimits, QueueLimits};

/// What to change of a lane's own settings.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LaneChange {
    /// Whether anything of it starts.
    pub paused: Option<bool>,
    /// Its own limits; `Some(None)` gives it back to the queue's.
    pub limits: Option<Option<LaneLimits>>,
}

/// What to change of a queue's settings.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct QueueChange {
    /// What all its lanes together may do.
    pub limits: Option<QueueLimits>,
    /// What each lane may do that has no limits of its own.
    pub lane_limits: Option<LaneLimits>,
}

/// Changes the lane of `tenant`, from the next claim of any host on. Claims of the queue wait until the caller's
/// transaction ends; change several queues in order of their names.
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
    limits::changed(conn, queue).await
}

/// Changes the limits of `queue`, from the next claim of any host on.
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
    limits::changed(conn, queue).await
}
