//! The tenants with the most to do, and those whom their limits hold back most, of all queues
//! together.

use std::cmp::Reverse;
use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::lanes::Blocked;
use weirgate_web::dashboard::when::span;
use weirgate_web::dashboard::words::count;

use crate::http::Api;
use crate::http::queue_facts::QueueFacts;

/// How many there are.
pub(super) struct Tenants {
    pub(super) active: String,
    pub(super) inactive: String,
}

impl Tenants {
    pub(super) async fn count(conn: &mut PgConnection) -> sqlx::Result<Self> {
        let row = sqlx::query!(
            r#"select count(*) filter (where is_active) as "active!", count(*) filter (where not is_active) as "inactive!"
               from identity.tenants"#
        )
        .fetch_one(conn)
        .await?;
        Ok(Self { active: count(row.active), inactive: count(row.inactive) })
    }
}

/// So many of each.
const TOP: usize = 5;

/// A tenant with much to do.
pub(super) struct Busy {
    pub(super) slug: String,
    pub(super) running: String,
    pub(super) available: String,
}

/// A lane that could start more than it may.
pub(super) struct HeldBack {
    pub(super) slug: String,
    pub(super) queue: String,
    pub(super) available: String,
    pub(super) by: String,
}

/// Both lists.
pub(super) struct Tops {
    pub(super) busiest: Vec<Busy>,
    pub(super) held_back: Vec<HeldBack>,
}

impl Tops {
    pub(super) async fn of(api: &Api, queues: &[QueueFacts]) -> sqlx::Result<Self> {
        Ok(Self { busiest: busiest(api, queues).await?, held_back: held_back(api, queues).await? })
    }
}

async fn busiest(api: &Api, queues: &[QueueFacts]) -> sqlx::Result<Vec<Busy>> {
    let mut tenants: HashMap<Uuid, (i64, i64)> = HashMap::new();
    for lane in queues.iter().flat_map(|queue| &queue.lanes) {
        let (running, available) = tenants.entry(lane.tenant).or_default();
        *running += lane.running;
        *available += lane.available;
    }
    let mut tenants: Vec<_> = tenants.into_iter().collect();
    // By id where they are equal, so that rows do not jump.
    tenants.sort_unstable_by_key(|(id, (running, available))| (Reverse((*running, *available)), *id));
    let mut busiest = Vec::with_capacity(TOP);
    for (id, (running, available)) in tenants.into_iter().take(TOP) {
        let slug = api.web.slugs.of(id).await?.to_string();
        busiest.push(Busy { slug, running: count(running), available: count(available) });
    }
    Ok(busiest)
}

async fn held_back(api: &Api, queues: &[QueueFacts]) -> sqlx::Result<Vec<HeldBack>> {
    let lanes = queues.iter().flat_map(|queue| queue.lanes.iter().map(move |lane| (queue, lane)));
    let mut held: Vec<_> = lanes
        .filter(|(_, lane)| lane.available > 0)
        .filter_map(|(queue, lane)| {
            let by = match lane.blocked? {
                Blocked::Throttled(until) => format!("rate, for {}", span(until - queue.now)),
                Blocked::LaneFull { max_running } => format!("max running {}", count(max_running.into())),
                _ => return None,
            };
            Some((lane, &queue.name, by))
        })
        .collect();
    held.sort_by_key(|(lane, queue, _)| (Reverse(lane.available), lane.tenant, *queue));
    let mut rows = Vec::with_capacity(TOP);
    for (lane, queue, by) in held.into_iter().take(TOP) {
        let slug = api.web.slugs.of(lane.tenant).await?.to_string();
        rows.push(HeldBack { slug, queue: queue.clone(), available: count(lane.available), by });
    }
    Ok(rows)
}
