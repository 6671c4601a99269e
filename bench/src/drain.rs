//! Worker processes run a backlog as fast as they can; the rate is compared with the floor of the
//! same run.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::PgPool;
use weirgate_queue::lanes::change::pause_queue;

use super::fleet::Fleet;
use super::floor;
use super::meter::{Meter, Spent};
use super::report::Report;
use super::stage::{Stage, tenants};

const JOBS: i64 = 100_000;
const TENANTS: u128 = 50;
/// How many jobs each worker runs at once. Jobs that do nothing need no more than the claims can
/// bring.
pub(super) const SLOTS: usize = 2000;
/// A drain that takes longer has stopped.
const LONGEST: Duration = Duration::from_mins(3);

pub(super) async fn run(stage: &Stage) -> anyhow::Result<Report> {
    let mut report = Report::new("drain");
    let (one, spent) = Drain::default().metered(stage).await?;
    let two = Drain { workers: 2, ..Drain::default() }.run(stage).await?;
    let (floor, with) = floor::claim_finish(stage).await?;
    report.figure("jobs_per_s_1", one);
    report.figure("jobs_per_s_2", two);
    spent.report(&mut report, JOBS)?;
    report.figure("floor_per_s", floor);
    report.figure("floor_ratio", one.max(two) / floor);
    report.setting("jobs", JOBS);
    report.setting("tenants", json!(50));
    report.setting("slots", SLOTS);
    report.setting("floor", with);
    Ok(report)
}

/// Which backlog is run, and by how many workers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drain {
    pub(super) tenants: u128,
    /// Jobs that are there.
    pub(super) backlog: i64,
    /// After so many finishes it is over.
    pub(super) measured: i64,
    /// Worker processes.
    pub(super) workers: usize,
}

impl Default for Drain {
    fn default() -> Self {
        Self { tenants: TENANTS, backlog: JOBS, measured: JOBS, workers: 1 }
    }
}

impl Drain {
    /// Jobs a second, with nothing else in the database.
    pub(super) async fn run(&self, stage: &Stage) -> anyhow::Result<f64> {
        stage.clear().await?;
        self.fill(stage).await?;
        self.measure(stage).await
    }

    /// As [`Drain::run`], and what it cost; that takes longer to find out.
    async fn metered(&self, stage: &Stage) -> anyhow::Result<(f64, Spent)> {
        stage.clear().await?;
        self.fill(stage).await?;
        let running = self.start(stage).await?;
        let meter = Meter::begin(&stage.pool, &running.processes()).await?;
        let rate = self.work_off(stage).await?;
        let stopped = meter.stop().await?;
        running.stop().await?;
        Ok((rate, stopped.spent().await?))
    }

    pub(super) async fn fill(&self, stage: &Stage) -> anyhow::Result<()> {
        let each = self.backlog / i64::try_from(self.tenants)?;
        stage.fill("bench", &tenants(0, self.tenants), each, json!({"takes_ms": 0})).await
    }

    /// Jobs a second of what is there, from the word to the finish that is the last one measured.
    pub(super) async fn measure(&self, stage: &Stage) -> anyhow::Result<f64> {
        let running = self.start(stage).await?;
        let rate = self.work_off(stage).await?;
        running.stop().await?;
        Ok(rate)
    }

    /// Workers that have polled the paused queue and wait.
    async fn start(&self, stage: &Stage) -> anyhow::Result<Fleet> {
        pause(&stage.pool, true).await?;
        Fleet::start(stage, self.workers, SLOTS).await
    }

    async fn work_off(&self, stage: &Stage) -> anyhow::Result<f64> {
        let begun = Begun::now(&stage.pool).await?;
        pause(&stage.pool, false).await?;
        let deadline = Instant::now() + LONGEST;
        loop {
            tokio::time::sleep(Duration::from_millis(250)).await;
            if let Some(rate) = begun.rate(&stage.pool, self.measured).await? {
                return Ok(rate);
            }
            anyhow::ensure!(Instant::now() < deadline, "{} jobs were not completed in time", self.measured);
        }
    }
}

/// When the word was given, and the transaction before.
struct Begun {
    at: f64,
    xid: i64,
}

impl Begun {
    async fn now(pool: &PgPool) -> anyhow::Result<Self> {
        let sql = "select pg_current_xact_id()::text::bigint, extract(epoch from clock_timestamp())::float8";
        let (xid, at) = sqlx::query_as(sql).fetch_one(pool).await?;
        Ok(Self { at, xid })
    }

    /// Completed jobs a second until there were `measured`; from the lanes' log, which has a row
    /// for each group of finishes, so that no jobs are read while workers run them.
    async fn rate(&self, pool: &PgPool, measured: i64) -> anyhow::Result<Option<f64>> {
        let sql = "
            select completed::float8 / (extract(epoch from at)::float8 - $2)
            from (
                select l.at, sum(sum(c.change)) over (order by l.at) as completed
                from queue.lane_log l cross join lateral unnest(l.states, l.changes) as c (state, change)
                where l.queue = 'bench' and l.txid >= $1 and c.state = 'completed'
                group by l.at
            ) finishes
            where completed >= $3 order by at limit 1";
        Ok(sqlx::query_scalar(sql).bind(self.xid).bind(self.at).bind(measured).fetch_optional(pool).await?)
    }
}

async fn pause(pool: &PgPool, paused: bool) -> anyhow::Result<()> {
    let mut tx = pool.begin().await?;
    pause_queue(&mut tx, "bench", paused).await?;
    tx.commit().await?;
    Ok(())
}
