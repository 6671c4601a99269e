//! Limits of a queue and of a tenant's lane in it. Commands, pages and HTTP call it.

use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_identity::audit::{Actor, Change, Subject};
use weirgate_queue::Result;
use weirgate_queue::lanes::LaneLimits;
use weirgate_queue::lanes::change::{LaneChange, QueueChange, change_lane, change_queue};

/// Sets a tenant's own limits in a queue, or with `None` gives it back to what the queue has for
/// each tenant, and notes in the audit who did.
pub(crate) async fn set_lane(
    conn: &mut PgConnection,
    actor: &Actor,
    (tenant, slug): (Uuid, &str),
    queue: &str,
    limits: Option<LaneLimits>,
) -> Result<()> {
    let noted = Change::begin(conn, Subject::Lane { tenant, slug, queue }).await?;
    change_lane(conn, queue, tenant, LaneChange { paused: None, limits: Some(limits) }).await?;
    noted.note(conn, actor, "lane.limits", &["limits"]).await?;
    Ok(())
}

/// Sets the limits of all tenants of a queue together, those of each that has none of its own, or
/// both, and notes in the audit who did.
pub(crate) async fn set_queue(
    conn: &mut PgConnection,
    actor: &Actor,
    queue: &str,
    change: QueueChange,
) -> Result<()> {
    let whole = change.limits.map(|_| "limits");
    let about: Vec<_> = whole.into_iter().chain(change.lane_limits.map(|_| "lane_limits")).collect();
    let noted = Change::begin(conn, Subject::Queue(queue)).await?;
    change_queue(conn, queue, change).await?;
    noted.note(conn, actor, "queue.limits", &about).await?;
    Ok(())
}
