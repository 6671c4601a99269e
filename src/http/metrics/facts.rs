//! What the database knows of the queues: from maintained counters; no job is counted or read for
//! it but the first of each lane.

use std::cmp::Reverse;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use weirgate_queue::backfill::{self, Backfill};
use weirgate_queue::lanes::traffic::{self, QueueWorkers};
use weirgate_queue::lanes::{BusyLane, CountsByState, QueueView};
use weirgate_web::Web;
use weirgate_web::domain::Catalog;

use super::database::Database;
use crate::queues;

/// Lanes of a queue that are named, those with the most to do; the others are summed up.
const NAMED_LANES: usize = 20;

/// Backfills that are named, the oldest of those that are not over.
const NAMED_BACKFILLS: i64 = 20;

/// What the database knew at one moment.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) queues: Vec<Queue>,
    pub(super) backfills: Vec<Backfill>,
    pub(super) database: Database,
}

/// A queue at one moment.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) counts: CountsByState,
    /// Seconds that the longest-waiting of the next jobs has waited.
    pub(super) oldest: f64,
    pub(super) paused: bool,
    pub(super) backlogged: usize,
    pub(super) throttled: usize,
    pub(super) workers: QueueWorkers,
    pub(super) lanes: Vec<NamedLane>,
    pub(super) others: Others,
}

/// A lane under its tenant's slug.
#[derive(Debug)]
pub(super) struct NamedLane {
    pub(super) tenant: Arc<str>,
    pub(super) load: BusyLane,
}

/// The lanes that are not named.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Others {
    pub(super) backlog: i64,
    pub(super) running: i64,
    pub(super) throttled: i64,
}

impl Facts {
    pub(super) async fn read(web: &Web, catalog: &Catalog) -> weirgate_queue::Result<Self> {
        let mut conn = web.pool.acquire().await?;
        let names = queues::known(&mut conn, catalog, None).await?;
        let mut workers = traffic::workers(&mut conn).await?;
        let backfills = backfill::unfinished(&mut conn, NAMED_BACKFILLS).await?;
        let database = Database::read(&mut conn).await?;
        drop(conn);
        let mut all = Vec::with_capacity(names.len());
        for name in names {
            let workers = workers.remove(&name).unwrap_or_default();
            all.push(Queue::read(web, name, workers).await?);
        }
        Ok(Self { queues: all, backfills, database })
    }
}

impl Queue {
    async fn read(web: &Web, name: String, workers: QueueWorkers) -> weirgate_queue::Result<Self> {
        let oldest = web.queue_views.oldest(&name).await?;
        let read = |view: &QueueView| {
            let (named, others) = split(view.busy_lanes());
            (view.activity(), view.settings().paused, view.now(), named, others)
        };
        let (facts, paused, now, named, others) = web.queue_views.read(&name, read).await?;
        let mut lanes = Vec::with_capacity(named.len());
        for load in named {
            lanes.push(NamedLane { tenant: web.slugs.of(load.tenant).await?, load });
        }
        Ok(Self {
            name,
            counts: facts.counts,
            oldest: oldest.map_or(0.0, |at| seconds_since(at, now)),
            paused,
            backlogged: facts.lanes_with_backlog,
            throttled: facts.throttled_lanes,
            workers,
            lanes,
            others,
        })
    }
}

/// The lanes that are named, those with the largest backlogs in their order, and the rest in one.
fn split(mut lanes: Vec<BusyLane>) -> (Vec<BusyLane>, Others) {
    let by_backlog = |lane: &BusyLane| (Reverse(lane.available), Reverse(lane.running), lane.tenant);
    if lanes.len() > NAMED_LANES {
        lanes.select_nth_unstable_by_key(NAMED_LANES - 1, by_backlog);
    }
    let rest = lanes.split_off(NAMED_LANES.min(lanes.len()));
    lanes.sort_unstable_by_key(by_backlog);
    let mut others = Others::default();
    for lane in rest {
        others.backlog += lane.available;
        others.running += lane.running;
        others.throttled += i64::from(lane.is_throttled());
    }
    (lanes, others)
}

fn seconds_since(at: DateTime<Utc>, now: DateTime<Utc>) -> f64 {
    (now - at).as_seconds_f64().max(0.0)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use weirgate_queue::lanes::Blocked;

    use super::*;

    #[test]
    fn however_many_lanes_there_are_twenty_are_named() {
        let load = |available| BusyLane {
            tenant: Uuid::nil(),
            available,
            running: 1,
            blocked: (available % 2 == 0).then_some(Blocked::Throttled(DateTime::UNIX_EPOCH)),
        };
        let (named, others) = split((0..25).map(load).collect());
        assert_eq!((named.len(), named[0].available, named[19].available), (20, 24, 5));
        assert_eq!(others, Others { backlog: 10, running: 5, throttled: 2 });
        let (named, others) = split(vec![load(7)]);
        assert_eq!((named.len(), others), (1, Others::default()));
    }
}
