//! What a claim costs: with few and many lanes, free and throttled, and against a claim that knows no lanes.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::claim::{Claimer, Room};
use weirgate_queue::finish::{Finish, Outcome, finish};
use weirgate_queue::lanes::limits::{LaneLimits, QueueLimits, Rate, set_queue_limits};

use super::report::{Report, percentile_ms};
use super::stage::{Stage, tenants};

const JOBS: i64 = 100_000;
const BATCH: usize = 100;
const CLAIMS: usize = 200;
/// For the whole way of a job: claim and finish.
const BIG_BATCH: usize = 500;
const ROUNDS: usize = 4;

pub(super) async fn run(stage: &Stage) -> anyhow::Result<Report> {
    let mut report = Report::new("lanes");
    let one = claim_ms(stage, 1, 0).await?;
    let hundred = claim_ms(stage, 100, 0).await?;
    let many = claim_ms(stage, 10_000, 0).await?;
    let throttled = claim_ms(stage, 10_000, 9_900).await?;
    report.figure("claim_ms_1_lane", one);
    report.figure("claim_ms_100_lanes", hundred);
    report.figure("claim_ms_10000_lanes", many);
    report.figure("claim_ms_99pct_throttled", throttled);
    report.figure("ratio_100_lanes", hundred / one);
    report.figure("ratio_10000_lanes", many / one);
    report.figure("ratio_99pct_throttled", throttled / one);
    let (with, without) = rates(stage).await?;
    report.figure("jobs_per_s", with);
    report.figure("jobs_per_s_without_lanes", without);
    report.figure("fairness_cost", 1.0 - with / without);
    report.setting("jobs", JOBS);
    report.setting("batch", BATCH);
    report.setting("claims", CLAIMS);
    report.setting("rates", json!({"lanes": 50, "batch": BIG_BATCH, "rounds": ROUNDS, "connections": 1}));
    Ok(report)
}

async fn worker(conn: &mut PgConnection) -> anyhow::Result<Uuid> {
    let id = Uuid::now_v7();
    sqlx::query(
        "insert into queue.workers (id, host, pid, version, queues, started_at, heartbeat_at, lease_until)
         values ($1, 'bench', 1, '0', '{bench}', queue.now(), queue.now(), queue.now() + interval '1 hour')",
    )
    .bind(id)
    .execute(conn)
    .await?;
    Ok(id)
}

/// The median time of a claim of a batch, with a backlog in each of `lanes`, of which `throttled` may start nothing.
async fn claim_ms(stage: &Stage, lanes: u128, throttled: u128) -> anyhow::Result<f64> {
    stage.clear().await?;
    let mut conn = stage.pool.acquire().await?;
    let worker = worker(&mut conn).await?;
    let all = tenants(0, lanes);
    let each = JOBS / i64::try_from(lanes)?;
    stage.fill(&all, each.max(3), json!({"takes_ms": 0})).await?;
    if throttled > 0 {
        // One start an hour, and each has had it.
        let rate = Some(Rate { rate: 1, period_ms: 3_600_000, burst: 1 });
        let lane = LaneLimits { rate, ..LaneLimits::default() };
        set_queue_limits(&mut conn, "bench", QueueLimits::default(), lane).await?;
        let mut claimer = Claimer::open(&mut conn, "bench").await?;
        while claimer.claim(&mut conn, worker, Room::of(2_000)).await?.again {}
        // The rest of them are free.
        sqlx::query(
            "insert into queue.lanes (tenant_id, queue, limits) select tenant, 'bench', '{\"weight\": 1}' from unnest($1) as tenant",
        )
        .bind(&all[usize::try_from(throttled)?..])
        .execute(&mut *conn)
        .await?;
        let free: Vec<_> = all[usize::try_from(throttled)?..].to_vec();
        stage.fill(&free, JOBS / 100, json!({"takes_ms": 0})).await?;
        weirgate_queue::lanes::limits::changed(&mut conn, "bench").await?;
    }
    let mut claimer = Claimer::open(&mut conn, "bench").await?;
    let mut times = Vec::with_capacity(CLAIMS);
    for _ in 0..CLAIMS {
        let begun = Instant::now();
        let claim = claimer.claim(&mut conn, worker, Room::of(BATCH)).await?;
        times.push(begun.elapsed());
        anyhow::ensure!(claim.jobs.len() == BATCH, "only {} of {BATCH} jobs in a claim", claim.jobs.len());
    }
    Ok(percentile_ms(&mut times, 50))
}

/// Jobs a second through claim and finish, with lanes and without: alternating, so that both have the same machine.
async fn rates(stage: &Stage) -> anyhow::Result<(f64, f64)> {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        with.push(drain(stage, true).await?);
        without.push(drain(stage, false).await?);
    }
    Ok((median_rate(&mut with), median_rate(&mut without)))
}

fn median_rate(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    let jobs: f64 = 25_000.0;
    jobs / times[times.len() / 2].as_secs_f64()
}

async fn drain(stage: &Stage, lanes: bool) -> anyhow::Result<Duration> {
    stage.clear().await?;
    let mut conn = stage.pool.acquire().await?;
    let worker = worker(&mut conn).await?;
    stage.fill(&tenants(0, 50), 500, json!({"takes_ms": 0})).await?;
    // Without lanes, nothing of them is paid for: no log, and the one index that such a claim needs.
    let schema = if lanes {
        "alter table queue.jobs enable trigger all; drop index if exists queue.bench_claim;"
    } else {
        "alter table queue.jobs disable trigger user;
         create index if not exists bench_claim on queue.jobs (queue, priority desc, seq) where state = 'available';"
    };
    sqlx::raw_sql(schema).execute(&mut *conn).await?;
    let mut claimer = Claimer::open(&mut conn, "bench").await?;
    let begun = Instant::now();
    let mut done = 0;
    while done < 25_000 {
        let runs: Vec<(Uuid, i64)> = if lanes {
            let jobs = claimer.claim(&mut conn, worker, Room::of(BIG_BATCH)).await?.jobs;
            jobs.into_iter().map(|job| (job.run.job, job.run.run)).collect()
        } else {
            claim_without_lanes(&mut conn, worker).await?
        };
        anyhow::ensure!(!runs.is_empty(), "nothing was claimed");
        done += runs.len();
        let outcome = Outcome::Completed { output: serde_json::Value::Null, next: Vec::new() };
        let finishes = runs.into_iter().map(|(job, run)| Finish { job, run, outcome: outcome.clone() });
        finish(&mut conn, finishes.collect()).await?;
    }
    let took = begun.elapsed();
    sqlx::raw_sql("alter table queue.jobs enable trigger all; drop index if exists queue.bench_claim;")
        .execute(&mut *conn)
        .await?;
    Ok(took)
}

/// The same claim where all jobs are one list.
async fn claim_without_lanes(conn: &mut PgConnection, worker: Uuid) -> anyhow::Result<Vec<(Uuid, i64)>> {
    type Row = (Uuid, i64, i64, Uuid, Option<Uuid>, i16, Option<String>, String, serde_json::Value, i16);
    let rows: Vec<Row> = sqlx::query_as(
        "with picked as materialized (
            select j.ctid as place from queue.jobs j
            where j.queue = 'bench' and j.state = 'available'
              and exists (select from queue.workers where id = $1 and lease_until > queue.now())
            order by j.priority desc, j.seq limit $2 for update skip locked
        )
        update queue.jobs j
        set state = 'running', run = j.run + 1, attempt = j.attempt + 1, worker_id = $1, attempted_at = queue.now(),
            progress = null
        where j.ctid = any(array(select place from picked))
        returning j.id, j.seq, j.run, j.tenant_id, j.backfill_id, j.attempt, j.traceparent, j.kind, j.args, j.max_attempts",
    )
    .bind(worker)
    .bind(i64::try_from(BIG_BATCH)?)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.0, row.2)).collect())
}
