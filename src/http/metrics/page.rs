//! Facts as metrics.

use std::fmt;
use std::sync::Arc;

use az::SaturatingAs;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use weirgate_queue::JobState;
use weirgate_web::domain::Catalog;

use super::database::Database;
use super::facts::{Facts, Queue};
use crate::metrics::Families;

/// One scrape's part of what the database knows.
#[derive(Debug)]
pub(super) struct Page {
    /// None where the database could not be asked: then nothing is said, instead of what was so
    /// before.
    pub(super) facts: Option<Arc<Facts>>,
    /// Whose backfills have names of their own.
    pub(super) catalog: Arc<Catalog>,
    /// Whether whoever reads it may know of tenants.
    pub(super) names_tenants: bool,
}

impl Collector for Page {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families::new(encoder);
        let answers = if self.facts.is_some() { 1.0 } else { 0.0 };
        families.gauge(
            "database_up",
            "1 when the database answered the queries behind the metrics below, 0 when it did not",
            answers,
        )?;
        let Some(facts) = &self.facts else { return Ok(()) };
        queues(&mut families, &facts.queues)?;
        if self.names_tenants {
            lanes(&mut families, &facts.queues)?;
        }
        backfills(&mut families, facts, &self.catalog)?;
        database(&mut families, &facts.database)
    }
}

fn queues(families: &mut Families<'_>, queues: &[Queue]) -> fmt::Result {
    let states = queues.iter().flat_map(|queue| {
        JobState::ALL.iter().map(|state| {
            let count = queue.counts.get(state).copied().unwrap_or(0);
            ([("queue", &*queue.name), ("state", state.as_str())], number(count))
        })
    });
    families.gauges("queue_jobs", "Jobs by state, including finished jobs that are still kept", states)?;
    let mut each = |name: &str, help: &str, value: fn(&Queue) -> f64| {
        families.gauges(name, help, queues.iter().map(|queue| ([("queue", &*queue.name)], value(queue))))
    };
    each(
        "queue_oldest_age_seconds",
        "How long the oldest available job has waited; 0 when there is none",
        |queue| queue.oldest,
    )?;
    each("queue_paused", "1 while the queue is paused", |queue| f64::from(u8::from(queue.paused)))?;
    each("queue_backlogged_lanes", "Tenants with available jobs", |queue| count(queue.backlogged))?;
    each("queue_throttled_lanes", "Of these, tenants that are throttled by their rate", |queue| {
        count(queue.throttled)
    })?;
    each("queue_workers", "Live workers that serve the queue", |queue| number(queue.workers.count))?;
    each("queue_slots", "Jobs that these workers can run at once", |queue| number(queue.workers.capacity))
}

/// The named lanes of each queue, and the others as one.
fn lanes(families: &mut Families<'_>, queues: &[Queue]) -> fmt::Result {
    let rows = |of: fn(i64, i64, i64) -> i64| {
        queues.iter().flat_map(move |queue| {
            let named = queue.lanes.iter().map(move |lane| {
                let value = of(lane.load.available, lane.load.running, i64::from(lane.load.is_throttled()));
                ([("queue", &*queue.name), ("tenant", &*lane.tenant)], number(value))
            });
            let others = of(queue.others.backlog, queue.others.running, queue.others.throttled);
            named.chain([([("queue", &*queue.name), ("tenant", "other")], number(others))])
        })
    };
    families.gauges(
        "lane_backlog_jobs",
        "Available jobs of the tenants with most of them; other is all the rest",
        rows(|backlog, _, _| backlog),
    )?;
    families.gauges(
        "lane_running_jobs",
        "Running jobs of the same tenants",
        rows(|_, running, _| running),
    )?;
    families.gauges(
        "lane_throttled",
        "1 while a tenant with a backlog is throttled by its rate; for other, how many tenants are",
        rows(|_, _, throttled| throttled),
    )
}

fn backfills(families: &mut Families<'_>, facts: &Facts, catalog: &Catalog) -> fmt::Result {
    let ids: Vec<String> = facts.backfills.iter().map(|backfill| backfill.id.to_string()).collect();
    let named = || {
        ids.iter().zip(&facts.backfills).map(|(id, backfill)| {
            ([("backfill", &**id), ("kind", catalog.name_of(&backfill.kind))], backfill)
        })
    };
    families.gauges(
        "backfill_slices",
        "Slices of unfinished backfills",
        named().map(|(labels, backfill)| (labels, unsigned(backfill.total))),
    )?;
    families.gauges(
        "backfill_done_slices",
        "Of these, finished slices",
        named().map(|(labels, backfill)| (labels, unsigned(backfill.done))),
    )?;
    families.gauges(
        "backfill_discarded_jobs",
        "Discarded jobs of unfinished backfills",
        named().map(|(labels, backfill)| (labels, number(backfill.counts.of(JobState::Discarded)))),
    )
}

fn database(families: &mut Families<'_>, database: &Database) -> fmt::Result {
    families.gauge("workers", "Live workers", count(database.workers))?;
    families.gauge(
        "database_oldest_snapshot_seconds",
        "How long the oldest open transaction has kept old rows from being removed",
        database.oldest_snapshot,
    )?;
    families.gauge(
        "database_xmin_age_transactions",
        "Transactions since the oldest snapshot that a session, a replication slot or a prepared transaction holds",
        number(database.xmin_age),
    )?;
    families.gauge(
        "database_notification_queue_usage_ratio",
        "How full the notification queue is, from 0 to 1",
        database.notification_queue,
    )?;
    let tables = |value: fn(i64, i64) -> i64| {
        database
            .tables
            .iter()
            .map(move |table| ([("table", &*table.name)], number(value(table.live, table.dead))))
    };
    families.gauges(
        "database_live_rows",
        "Rows of the engine's tables, as Postgres estimates them",
        tables(|live, _| live),
    )?;
    families.gauges(
        "database_dead_rows",
        "Dead rows that autovacuum has not yet removed",
        tables(|_, dead| dead),
    )
}

#[expect(clippy::cast_precision_loss, reason = "numbers of jobs, rows and slices are far below 2^52")]
fn number(count: i64) -> f64 {
    count as f64
}

fn unsigned(count: u64) -> f64 {
    number(count.cast_signed())
}

fn count(count: usize) -> f64 {
    number(count.saturating_as::<i64>())
}
