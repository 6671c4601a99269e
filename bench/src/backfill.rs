//! Making, expanding and running a backfill, and what live work notices of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::backfill::{
    self, BackfillSettings, Expansion, NewBackfill, Slice, SliceQuery, Slices, TenantScope,
};
use weirgate_queue::worker::expander::Expander;
use weirgate_queue::{Kinds, NewJob};

use super::light::{self, Light};
use super::report::{Report, percentile_ms};
use super::stage::{Stage, tenants};
use super::work::{Starts, Work, Worker};

const SLICES: u64 = 10_000_000;
const TENANTS: u64 = 50;
const WORK: Work = Work { takes_ms: 20, slice: None };
const EXPANSIONS: usize = 10;
const LIGHT: Light = Light { tenants: 20, every: Duration::from_millis(100), ticks: 150 };
const SLOTS: usize = 16;
const WORKERS: usize = 2;
/// Without, with, and again: what the machine does meanwhile falls on both.
const ROUNDS: usize = 2;

pub(super) async fn run(stage: &Stage) -> anyhow::Result<Report> {
    let mut report = Report::new("backfill");
    let begun = Instant::now();
    create(stage).await?;
    report.figure("create_ms_10m", begun.elapsed().as_secs_f64() * 1000.0);
    report.figure("expand_per_s", expand_per_s(stage).await?);
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let mut ran = 0.0;
    for _ in 0..ROUNDS {
        alone.extend(live(stage, false).await?.0);
        let (latencies, jobs) = live(stage, true).await?;
        beside.extend(latencies);
        ran += jobs;
    }
    report.figure("live_p50_ms", percentile_ms(&mut beside, 50));
    report.figure("live_p99_ms", percentile_ms(&mut beside, 99));
    report.figure("live_p50_ms_alone", percentile_ms(&mut alone, 50));
    report.figure("live_p99_ms_alone", percentile_ms(&mut alone, 99));
    report.figure("backfill_jobs_done_meanwhile", ran);
    report.setting("slices", SLICES);
    report.setting("tenants", TENANTS);
    report.setting("share", BackfillSettings::default().share);
    report.setting("takes_ms", WORK.takes_ms);
    report.setting("slots", json!({"workers": WORKERS, "each": SLOTS}));
    report.setting(
        "live",
        json!({"tenants": LIGHT.tenants, "every_ms": 100, "takes_ms": light::WORK.takes_ms}),
    );
    Ok(report)
}

async fn create(stage: &Stage) -> anyhow::Result<Uuid> {
    let id = Uuid::now_v7();
    let new = NewBackfill {
        kind: "bench".to_owned(),
        spec: Value::Null,
        plan: Value::Null,
        total: SLICES,
        queues: vec!["bench".to_owned()],
        priority: 0,
        settings: BackfillSettings::default(),
        traceparent: None,
    };
    let mut tx = stage.pool.begin().await?;
    backfill::create(&mut tx, id, &new).await?;
    tx.commit().await?;
    Ok(id)
}

/// Slices that become jobs a second of expanding, with a window that is empty each time.
async fn expand_per_s(stage: &Stage) -> anyhow::Result<f64> {
    let expander = Expander::new(vec![Arc::new(WorkSlices)]);
    let mut spent = Duration::ZERO;
    for _ in 0..EXPANSIONS {
        let begun = Instant::now();
        expander.run_once(&stage.pool).await?;
        spent += begun.elapsed();
        sqlx::query("update queue.jobs set state = 'completed' where state = 'available'")
            .execute(&stage.pool)
            .await?;
    }
    let slices: f64 = sqlx::query_scalar("select sum(next_slice)::float8 from queue.backfills")
        .fetch_one(&stage.pool)
        .await?;
    Ok(slices / spent.as_secs_f64())
}

/// Start latencies of live jobs, and how many jobs of a backfill ran meanwhile.
async fn live(stage: &Stage, with_backfill: bool) -> anyhow::Result<(Vec<Duration>, f64)> {
    stage.clear().await?;
    if with_backfill {
        create(stage).await?;
    }
    let starts = Arc::new(Starts::default());
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let registry =
                Kinds::default().with::<Work>().run_with(starts.clone()).with_slices(Arc::new(WorkSlices));
            Worker::run(stage.connections(), registry, SLOTS)
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let latencies = light::latencies(&stage.pool, &starts, &tenants(1000, 20), &LIGHT).await?;
    for worker in workers {
        worker.stop().await?;
    }
    let done =
        "select count(*)::float8 from queue.jobs where backfill_id is not null and state = 'completed'";
    Ok((latencies, sqlx::query_scalar(done).fetch_one(&stage.pool).await?))
}

/// Each slice is one job.
struct WorkSlices;

impl Slices for WorkSlices {
    fn knows(&self, kind: &str) -> bool {
        kind == "bench"
    }

    fn expand<'a>(
        &'a self,
        _: &'a mut PgConnection,
        _: &'a str,
        _: &'a Value,
        query: SliceQuery<'a>,
    ) -> BoxFuture<'a, weirgate_queue::Result<Expansion>> {
        async move {
            let SliceQuery { range, tenants, limit } = query;
            let next = range.end.min(range.start + limit as u64);
            let tenant = |n: u64| Uuid::from_u128(u128::from(n % TENANTS) + 1);
            let is_wanted = |n: &u64| match tenants {
                TenantScope::AllExcept(others) => !others.contains(&tenant(*n)),
                TenantScope::Only(one) => one == tenant(*n),
            };
            let slice = |n: u64| Ok(Slice::one(n, NewJob::of(tenant(n), &Work { slice: Some(n), ..WORK })?));
            let slices =
                (range.start..next).filter(is_wanted).map(slice).collect::<weirgate_queue::Result<_>>()?;
            Ok(Expansion { next, slices })
        }
        .boxed()
    }

    fn count(&self, _: &Value, from: &[(Uuid, u64)], end: u64) -> weirgate_queue::Result<u64> {
        let of = |(id, from): &(Uuid, u64)| {
            (*from..end).filter(|n| u128::from(n % TENANTS) + 1 == id.as_u128()).count() as u64
        };
        Ok(from.iter().map(of).sum())
    }
}
