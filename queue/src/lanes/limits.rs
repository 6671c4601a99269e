//! Settings of queues and lanes: rates, most running, weights, pauses. Each change is a turn, so that the next claim
//! of any host knows it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::Result;
use crate::lanes::log;
use crate::worker::listener::notify_queues;

/// Starts per period, and how many of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Starts per period in the long run, at least 1.
    pub rate: u32,
    /// The period, in milliseconds.
    pub period_ms: u64,
    /// Starts at once after a pause, at least 1.
    pub burst: u32,
}

/// What one lane may do. Nothing set means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LaneLimits {
    /// Starts per period.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Jobs that run at once, on all hosts together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_running: Option<u32>,
    /// Share of the starts against other lanes, when there is more work than capacity; above 0.
    pub weight: f64,
}

impl Default for LaneLimits {
    fn default() -> Self {
        Self { rate: None, max_running: None, weight: 1.0 }
    }
}

/// What all lanes of a queue together may do. Nothing set means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueLimits {
    /// Starts per period.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Jobs that run at once, on all hosts together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_running: Option<u32>,
}

/// A lane's own settings.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LaneSettings {
    /// Nothing of it starts.
    pub paused: bool,
    /// In place of the queue's limits for lanes.
    pub limits: Option<LaneLimits>,
}

/// What a claim has to know of a backfill.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BackfillSettings {
    /// Nothing of it starts.
    pub paused: bool,
    /// What part of the fleet it may take while live work waits.
    pub share: f64,
    /// Jobs of it that run at once in a queue, on all hosts together.
    pub max_running: Option<u32>,
}

/// All settings of one queue.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Nothing of the queue starts.
    pub paused: bool,
    /// Of all lanes together.
    pub queue: QueueLimits,
    /// Of each lane without limits of its own.
    pub default: LaneLimits,
    /// Lanes with settings of their own, by tenant.
    pub lanes: HashMap<Uuid, LaneSettings>,
    /// Backfills that are not finished.
    pub backfills: HashMap<Uuid, BackfillSettings>,
}

impl Settings {
    /// What applies to the lane of `tenant`.
    pub fn lane(&self, tenant: Uuid) -> LaneLimits {
        self.lanes.get(&tenant).and_then(|lane| lane.limits).unwrap_or(self.default)
    }

    /// Whether the lane of `tenant` itself is paused.
    pub fn lane_paused(&self, tenant: Uuid) -> bool {
        self.lanes.get(&tenant).is_some_and(|lane| lane.paused)
    }
}

/// The settings of `queue` as they are now.
pub async fn settings(conn: &mut PgConnection, queue: &str) -> Result<Settings> {
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
                (row.id, BackfillSettings { paused: row.paused, share: row.share.into(), max_running })
            })
            .collect();
    let mut settings = Settings { lanes, backfills, ..Settings::default() };
    if let Some(row) = own {
        settings.paused = row.paused;
        settings.queue = row.limits.0;
        settings.default = row.lane_limits.0;
    }
    Ok(settings)
}

/// Pauses `queue`, or lets it go on. What runs goes on running.
pub async fn pause_queue(conn: &mut PgConnection, queue: &str, paused: bool) -> Result<()> {
    sqlx::query!(
        "insert into queue.queues (name, paused) values ($1, $2) on conflict (name) do update set paused = $2",
        queue,
        paused
    )
    .execute(&mut *conn)
    .await?;
    changed(conn, queue).await
}

/// Sets what all lanes of `queue` together may do, and what each lane may that has no limits of its own.
pub async fn set_queue_limits(
    conn: &mut PgConnection,
    queue: &str,
    limits: QueueLimits,
    lane_limits: LaneLimits,
) -> Result<()> {
    sqlx::query!(
        "insert into queue.queues (name, limits, lane_limits) values ($1, $2, $3)
         on conflict (name) do update set limits = $2, lane_limits = $3",
        queue,
        Json(limits) as _,
        Json(lane_limits) as _
    )
    .execute(&mut *conn)
    .await?;
    changed(conn, queue).await
}

/// Sets one lane's own settings.
pub async fn set_lane(conn: &mut PgConnection, queue: &str, tenant: Uuid, lane: LaneSettings) -> Result<()> {
    sqlx::query!(
        "insert into queue.lanes (tenant_id, queue, paused, limits) values ($1, $2, $3, $4)
         on conflict (tenant_id, queue) do update set paused = $3, limits = $4",
        tenant,
        queue,
        lane.paused,
        lane.limits.map(Json) as _
    )
    .execute(&mut *conn)
    .await?;
    changed(conn, queue).await
}

/// Takes a turn, so that no claim is decided on the old settings after this commits, and wakes the workers.
///
/// Claims of the queue wait while the caller's transaction is open: commit soon.
pub async fn changed(conn: &mut PgConnection, queue: &str) -> Result<()> {
    log::take_turn(conn, queue).await?;
    notify_queues(conn, [queue.to_owned()]).await
}
