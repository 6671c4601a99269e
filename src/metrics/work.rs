//! What this process does: jobs it stores and runs, connections it uses.

use std::collections::BTreeSet;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use sqlx::PgPool;
use weirgate_queue::Concurrency;
use weirgate_queue::telemetry::enqueued;
use weirgate_queue::telemetry::meter::Meter;
use weirgate_web::domain::DomainCounter;

use super::families::Families;
use crate::database::hung_connections;

/// A worker's part in the metrics.
#[derive(Debug, Clone)]
pub struct Work {
    /// What its runs are counted in.
    pub meter: Meter,
    /// Jobs that it runs at once.
    pub concurrency: Concurrency,
}

impl Work {
    fn queues(&self) -> BTreeSet<&str> {
        self.meter.kinds().map(|(_, queue, _)| queue).collect()
    }

    /// Jobs that it runs at once in all its queues together.
    pub fn jobs_at_once(&self) -> usize {
        self.concurrency.sum(&self.queues())
    }
}

#[derive(Debug)]
pub(super) struct Working {
    pub(super) pool: PgPool,
    pub(super) work: Option<Work>,
    /// What domains count beside this.
    pub(super) counters: Vec<DomainCounter>,
}

impl Collector for Working {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families::new(encoder);
        families.gauges(
            "build_info",
            "Always 1; the label is the version of the program",
            [([("version", env!("CARGO_PKG_VERSION"))], 1.0)],
        )?;
        connections(&mut families, &self.pool)?;
        let enqueued = enqueued::all();
        families.counters(
            "jobs_enqueued",
            "Jobs that this process enqueued, including those whose transaction was rolled back afterwards",
            enqueued.iter().map(|((queue, kind), count)| ([("queue", &**queue), ("kind", &**kind)], *count)),
        )?;
        for DomainCounter { name, help, read } in &self.counters {
            families.counters_of_domain(name, help, read())?;
        }
        self.work.as_ref().map_or(Ok(()), |work| runs(&mut families, work))
    }
}

fn connections(families: &mut Families<'_>, pool: &PgPool) -> fmt::Result {
    let idle = number(pool.num_idle());
    let all = f64::from(pool.size());
    families.gauges(
        "db_connections",
        "Database connections in the pool of this process",
        [([("state", "idle")], idle), ([("state", "used")], (all - idle).max(0.0))],
    )?;
    let most = f64::from(pool.options().get_max_connections());
    families.gauge("db_connections_max", "Most connections that the pool may open", most)?;
    families.counter(
        "db_connections_hung",
        "Database connections that this process closed because they no longer answered",
        &hung_connections(),
    )
}

fn runs(families: &mut Families<'_>, work: &Work) -> fmt::Result {
    let Work { meter, concurrency } = work;
    let labels =
        |(kind, queue, of): (&'static str, &'static str, _)| ([("queue", queue), ("kind", kind)], of);
    families.counters(
        "jobs_started",
        "Runs that this worker started",
        meter.kinds().map(labels).map(|(labels, kind)| (labels, kind.started())),
    )?;
    let finished = meter.kinds().flat_map(|(kind, queue, meter)| {
        meter
            .ended()
            .map(move |(outcome, count)| ([("queue", queue), ("kind", kind), ("outcome", outcome)], count))
    });
    families.counters(
        "jobs_finished",
        "Runs that finished on this worker, by outcome: a retried one will run again",
        finished,
    )?;
    families.histograms(
        "job_start_latency_seconds",
        "Time from when a job was due until its claim; without jobs of backfills, which wait behind live jobs",
        meter.kinds().map(labels).map(|(labels, kind)| (labels, kind.start_latency.read())),
    )?;
    families.histograms(
        "job_run_duration_seconds",
        "Run time of jobs",
        meter.kinds().map(labels).map(|(labels, kind)| (labels, kind.run_time.read())),
    )?;
    families.gauges(
        "worker_running_jobs",
        "Jobs running in this worker",
        meter.kinds().map(labels).map(|(labels, kind)| {
            let ended: u64 = kind.ended().map(|(_, count)| count).sum();
            (labels, number(kind.started().saturating_sub(ended)))
        }),
    )?;
    families.gauges(
        "worker_slots",
        "Jobs that this worker can run at once in the queue",
        work.queues().into_iter().map(|queue| ([("queue", queue)], number(concurrency.of(queue)))),
    )?;
    families.counter(
        "jobs_rescued",
        "Jobs that this worker, as the leader, rescued from dead workers",
        &meter.rescued(),
    )?;
    families.counter(
        "stale_finishes",
        "Outcomes that were ignored because the job belonged to another run by then",
        &meter.stale_finishes(),
    )?;
    families.counter(
        "worker_leases_lost",
        "Times that the lease of this worker expired",
        &meter.leases_lost(),
    )?;
    families.counter(
        "worker_listens_lost",
        "Times that this worker lost its LISTEN connection; until it is back, the worker polls",
        &meter.listens_lost(),
    )
}

#[expect(clippy::cast_precision_loss, reason = "numbers of jobs and connections are far below 2^52")]
fn number(count: impl TryInto<u64>) -> f64 {
    count.try_into().unwrap_or(u64::MAX) as f64
}
