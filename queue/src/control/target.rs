//! What people change, for the audit: a target is locked until the caller's transaction ends, so
//! that what it was before the change can be recorded with certainty.

use serde_json::{Value, json};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::backfill;
use crate::claim::persist_running::persist_claimed;
use crate::error::Result;
use crate::lanes::{LaneLimits, QueueLimits};
use crate::schedule::{self, Definition};

/// Something that people change.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// A job: its state, priority, attempt, time, and whether it was asked to stop.
    Job(Uuid),
    /// A queue: its pause and its limits.
    Queue(&'a str),
    /// A tenant's lane of a queue: its pause, and the limits of its own.
    Lane {
        /// The tenant.
        tenant: Uuid,
        /// The queue.
        queue: &'a str,
    },
    /// A backfill: its state, and how much of the fleet it may take.
    Backfill(Uuid),
    /// A worker: whether it drains.
    Worker(Uuid),
    /// A schedule: its settings.
    Schedule(&'a Definition),
}

/// Locks the target until the caller's transaction ends, so that nobody else changes it. A queue, a
/// lane or a schedule that has no row yet gets one with its defaults, so that it can be locked,
/// too.
pub async fn lock(conn: &mut PgConnection, target: Target<'_>) -> Result<()> {
    match target {
        Target::Job(id) => {
            sqlx::query!("select id from queue.jobs where id = $1 for update", id)
                .fetch_optional(&mut *conn)
                .await?;
            // A job that a worker has claimed may still be `available` in its row.
            persist_claimed(conn, &[id]).await?;
        }
        Target::Queue(name) => {
            sqlx::query!(
                "insert into queue.queues (name) values ($1) on conflict (name) do update set name = excluded.name",
                name
            )
            .execute(conn)
            .await?;
        }
        Target::Lane { tenant, queue } => {
            sqlx::query!(
                "insert into queue.lanes (tenant_id, queue) values ($1, $2)
                 on conflict (tenant_id, queue) do update set queue = excluded.queue",
                tenant,
                queue
            )
            .execute(conn)
            .await?;
        }
        Target::Backfill(id) => {
            sqlx::query!("select id from queue.backfills where id = $1 for update", id)
                .fetch_optional(conn)
                .await?;
        }
        Target::Worker(id) => {
            sqlx::query!("select id from queue.workers where id = $1 for update", id)
                .fetch_optional(conn)
                .await?;
        }
        Target::Schedule(definition) => schedule::lock(conn, definition).await?,
    }
    Ok(())
}

/// The values of the target that people change; `None` when it does not exist.
pub async fn describe(conn: &mut PgConnection, target: Target<'_>) -> Result<Option<Value>> {
    Ok(match target {
        Target::Job(id) => sqlx::query_scalar!(
            r#"select jsonb_build_object(
                'state', state, 'priority', priority, 'attempt', attempt, 'scheduled_at', scheduled_at,
                'cancel_requested', cancel_requested_at is not null) as "it!"
               from queue.jobs where id = $1"#,
            id
        )
        .fetch_optional(conn)
        .await?,
        Target::Queue(name) => queue(conn, name).await?,
        Target::Lane { tenant, queue } => lane(conn, tenant, queue).await?,
        Target::Backfill(id) => backfill::describe(conn, id).await?,
        Target::Worker(id) => sqlx::query_scalar!(
            r#"select jsonb_build_object('draining', drain_requested_at is not null, 'host', host, 'pid', pid) as "it!"
               from queue.workers where id = $1"#,
            id
        )
        .fetch_optional(conn)
        .await?,
        Target::Schedule(definition) => schedule::describe(conn, definition).await?,
    })
}

// Limits are parsed and written again, so that equal limits always have the same text.

async fn queue(conn: &mut PgConnection, name: &str) -> Result<Option<Value>> {
    let row = sqlx::query!(
        r#"select paused, limits as "limits: Json<QueueLimits>", lane_limits as "lane_limits: Json<LaneLimits>"
           from queue.queues where name = $1"#,
        name
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|it| json!({ "paused": it.paused, "limits": it.limits.0, "lane_limits": it.lane_limits.0 })))
}

async fn lane(conn: &mut PgConnection, tenant: Uuid, queue: &str) -> Result<Option<Value>> {
    let row = sqlx::query!(
        r#"select paused, limits as "limits: Json<LaneLimits>" from queue.lanes where tenant_id = $1 and queue = $2"#,
        tenant,
        queue
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|it| json!({ "paused": it.paused, "limits": it.limits.map(|limits| limits.0) })))
}
