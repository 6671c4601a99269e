//! Settings of a queue, its lanes and the backfills in it, as claims need them.

use std::collections::HashMap;

use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::Result;
use crate::lanes::limits::{LaneLimits, QueueLimits};

/// A lane's own settings.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LaneSettings {
    /// Whether no job of it starts.
    pub paused: bool,
    /// Its own limits, in place of the queue's limits for lanes.
    pub limits: Option<LaneLimits>,
}

/// The limits of a backfill, as far as claims have to know them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BackfillLimits {
    /// Whether no job of it starts.
    pub paused: bool,
    /// Its share of what all workers can run at once, while live work waits.
    pub share: f64,
    /// Its jobs that run at once in a queue, over all workers together.
    pub max_running: Option<u32>,
}

/// All settings of one queue.
#[derive(Debug, Clone, Default)]
pub struct QueueSettings {
    /// Whether no job of the queue starts.
    pub paused: bool,
    /// The limits of all lanes together.
    pub queue: QueueLimits,
    /// The limits of each lane that has none of its own.
    pub default: LaneLimits,
    /// The lanes that have settings of their own, by tenant.
    pub lanes: HashMap<Uuid, LaneSettings>,
    /// The backfills that are not finished.
    pub backfills: HashMap<Uuid, BackfillLimits>,
}

impl QueueSettings {
    /// The limits that apply to the lane of `tenant`.
    pub fn lane_limits(&self, tenant: Uuid) -> LaneLimits {
        self.lanes.get(&tenant).and_then(|lane| lane.limits).unwrap_or(self.default)
    }

    /// Whether the lane of `tenant` itself is paused.
    pub fn lane_paused(&self, tenant: Uuid) -> bool {
        self.lanes.get(&tenant).is_some_and(|lane| lane.paused)
    }
}

/// Reads the settings of `queue` as they are now.
pub async fn load(conn: &mut PgConnection, queue: &str) -> Result<QueueSettings> {
    let own = sqlx::query!(
        r#"select paused, limits as "limits: Json<QueueLimits>", lane_limits as "lane_limits: Json<LaneLimits>"
           from queue.queues where name = $1"#,
        queue
    )
    .fetch_optional(&mut *conn)
    .await?;
    let lanes = sqlx::query!(
        r#"select tenant_id, paused, limits as "limits: Json<LaneLimits>" from queue.lanes where queue = $1"#,
        queue
    )
    .fetch_all(&mut *conn)
    .await?
    .into_iter()
    .map(|row| (row.tenant_id, LaneSettings { paused: row.paused, limits: row.limits.map(|json| json.0) }))
    .collect();
    let backfills =
        sqlx::query!("select id, paused, share, max_running from queue.backfills where finished_at is null")
            .fetch_all(&mut *conn)
            .await?
            .into_iter()
            .map(|row| {
                let max_running = row.max_running.map(i32::unsigned_abs);
                (row.id, BackfillLimits { paused: row.paused, share: row.share.into(), max_running })
            })
            .collect();
    let mut settings = QueueSettings { lanes, backfills, ..QueueSettings::default() };
    if let Some(row) = own {
        settings.paused = row.paused;
        settings.queue = row.limits.0;
        settings.default = row.lane_limits.0;
    }
    Ok(settings)
}
