//! How things stand that people change: held until the caller's transaction ends, so that who
//! changes one can tell for sure how it was before.

use serde_json::{Value, json};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::backfill;
use crate::claim::mark::mark_claimed;
use crate::error::Result;
use crate::lanes::limits::{LaneLimits, QueueLimits};
use crate::schedule::{self, Definition};

/// Something that people change.
#[derive(Debug, Clone, Copy)]
pub enum Thing<'a> {
    /// A job: its state, priority, attempt, time, and whether it was told to stop.
    Job(Uuid),
    /// A queue: its pause and its limits.
    Queue(&'a str),
    /// A tenant's lane of a queue: its pause, and limits of its own.
    Lane {
        /// Whose.
        tenant: Uuid,
        /// Of which queue.
        queue: &'a str,
    },
    /// A backfill: its state, and how much it may take.
    Backfill(Uuid),
    /// A worker: whether it drains.
    Worker(Uuid),
    /// A schedule: its settings.
    Schedule(&'a Definition),
}

/// Lets nobody else change it before the caller's transaction ends. A queue, a lane or a schedule
/// that has no row yet gets one with what counts without it, so that it can be held, too.
pub async fn hold(conn: &mut PgConnection, thing: Thing<'_>) -> Result<()> {
    match thing {
        Thing::Job(id) => {
            sqlx::query!("select id from queue.jobs where id = $1 for update", id)
                .fetch_optional(&mut *conn)
                .await?;
            // One that a worker has claimed may still be available in its row.
            mark_claimed(conn, &[id]).await?;
        }
        Thing::Queue(name) => {
            sqlx::query!(
                "insert into queue.queues (name) values ($1) on conflict (name) do update set name = excluded.name",
                name
            )
            .execute(conn)
            .await?;
        }
        Thing::Lane { tenant, queue } => {
            sqlx::query!(
                "insert into queue.lanes (tenant_id, queue) values ($1, $2)
                 on conflict (tenant_id, queue) do update set queue = excluded.queue",
                tenant,
                queue
            )
            .execute(conn)
            .await?;
        }
        Thing::Backfill(id) => {
            sqlx::query!("select id from queue.backfills where id = $1 for update", id)
                .fetch_optional(conn)
                .await?;
        }
        Thing::Worker(id) => {
            sqlx::query!("select id from queue.workers where id = $1 for update", id)
                .fetch_optional(conn)
                .await?;
        }
        Thing::Schedule(definition) => schedule::hold(conn, definition).await?,
    }
    Ok(())
}

/// How it stands; `None` where it is not there.
pub async fn look(conn: &mut PgConnection, thing: Thing<'_>) -> Result<Option<Value>> {
    Ok(match thing {
        Thing::Job(id) => sqlx::query_scalar!(
            r#"select jsonb_build_object(
                'state', state, 'priority', priority, 'attempt', attempt, 'scheduled_at', scheduled_at,
                'cancel_requested', cancel_requested_at is not null) as "it!"
               from queue.jobs where id = $1"#,
            id
        )
        .fetch_optional(conn)
        .await?,
        Thing::Queue(name) => queue(conn, name).await?,
        Thing::Lane { tenant, queue } => lane(conn, tenant, queue).await?,
        Thing::Backfill(id) => backfill::standing(conn, id).await?,
        Thing::Worker(id) => sqlx::query_scalar!(
            r#"select jsonb_build_object('draining', drain_requested_at is not null, 'host', host, 'pid', pid) as "it!"
               from queue.workers where id = $1"#,
            id
        )
        .fetch_optional(conn)
        .await?,
        Thing::Schedule(definition) => schedule::standing(conn, definition).await?,
    })
}

// Limits are read before they are told, so that the same ones are always told in the same words.

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
