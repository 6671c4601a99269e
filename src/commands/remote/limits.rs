//! `limits`, of a server.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use weirgate_queue::lanes::{Blocked, LimitsInput};

use crate::client::{Call, Client};
use crate::commands::limits::{Lane, LaneLimits, option};

/// A tenant's limits and what is going on, by queue.
#[derive(Deserialize)]
struct TenantLimits {
    queues: BTreeMap<String, Place>,
}

/// Its place in one of them.
#[derive(Deserialize)]
struct Place {
    paused: bool,
    effective: LaneLimits,
    effective_from: String,
    waiting: BTreeMap<String, i64>,
    running: i64,
    throttled_until: Option<DateTime<Utc>>,
}

/// What holds for all tenants of a queue.
#[derive(Deserialize)]
struct Queue {
    name: String,
    paused: bool,
    limits: QueueLimits,
    running: i64,
    throttled_until: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct QueueLimits {
    queue: MostRunning,
}

#[derive(Deserialize)]
struct MostRunning {
    max_running: Option<u32>,
}

pub(in crate::commands) async fn list(client: &Client, tenant: &str) -> Result<Vec<Lane>> {
    let limits = client.ask(&Call::get(["internal", "tenants", tenant, "limits"])).await?;
    lanes(client, limits).await
}

pub(in crate::commands) async fn set(
    client: &Client,
    tenant: &str,
    queue: &str,
    given: LimitsInput,
) -> Result<Vec<Lane>> {
    let LimitsInput { rate, period_s, burst, max_running, weight } = given;
    let change = json!({
        "rate": rate, "period_s": period_s, "burst": burst, "max_running": max_running, "weight": weight,
    });
    change_lane(client, tenant, queue, &change).await
}

pub(in crate::commands) async fn clear(client: &Client, tenant: &str, queue: &str) -> Result<Vec<Lane>> {
    let now: TenantLimits = client.ask(&Call::get(["internal", "tenants", tenant, "limits"])).await?;
    if now.queues.get(queue).is_some_and(|place| place.paused) {
        bail!(
            "the jobs of {tenant} in {queue} are paused, and a server that resets their limits resumes them, \
             too; resume them first on the page of the tenant"
        );
    }
    change_lane(client, tenant, queue, &Value::Null).await
}

async fn change_lane(client: &Client, tenant: &str, queue: &str, change: &Value) -> Result<Vec<Lane>> {
    let path = format!("queues.{queue}");
    let fields = ["rate", "period_s", "burst", "max_running", "weight"];
    let call = Call::put(["internal", "tenants", tenant, "limits"], json!({ "queues": { queue: change } }));
    let call = fields.into_iter().fold(call.option(&path, format!("{queue:?}")), |call, field| {
        call.option(&format!("{path}.{field}"), option(field))
    });
    lanes(client, client.ask(&call).await?).await
}

async fn lanes(client: &Client, limits: TenantLimits) -> Result<Vec<Lane>> {
    let queues: Vec<Queue> = client.whole(&Call::get(["internal", "queues"])).await?;
    let lane = |(name, place): (String, Place)| {
        let queue = queues.iter().find(|queue| queue.name == name);
        Lane {
            own: place.effective_from == "lane",
            available: place.waiting.get("available").copied().unwrap_or(0),
            running: place.running,
            blocked: blocked(&place, queue),
            limits: place.effective,
            queue: name,
        }
    };
    Ok(limits.queues.into_iter().map(lane).collect())
}

/// What keeps the next job from starting, in the order that the engine looks at it.
fn blocked(place: &Place, queue: Option<&Queue>) -> Option<Blocked> {
    let full = |running: i64, most: Option<u32>| most.filter(|most| running >= i64::from(*most));
    let paused = || queue.filter(|queue| queue.paused).map(|_| Blocked::QueuePaused);
    let queue_full = || {
        let max_running = full(queue?.running, queue?.limits.queue.max_running)?;
        Some(Blocked::QueueFull { max_running })
    };
    let lane_full = || {
        let max_running = full(place.running, place.effective.max_running)?;
        Some(Blocked::LaneFull { max_running })
    };
    paused()
        .or_else(|| place.paused.then_some(Blocked::LanePaused))
        .or_else(queue_full)
        .or_else(|| queue?.throttled_until.map(Blocked::QueueThrottled))
        .or_else(lane_full)
        .or_else(|| place.throttled_until.map(Blocked::Throttled))
}
