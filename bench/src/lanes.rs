//! What a claim costs: with few and many lanes, free and throttled, and against a claim that knows
//! no lanes.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;
use weirgate_queue::lanes::change::{QueueChange, change_queue};
use weirgate_queue::lanes::{LaneLimits, QueueLimits, Rate};
use weirgate_queue::worker::{Capacity, Claimer, Finish, Outcome, RunStart, finish};

use super::report::{Report, median, percentile_ms};
use super::snapshots::pin;
use super::stage::{Stage, tenants};

const JOBS: i64 = 100_000;
const BATCH: usize = 100;
const CLAIMS: usize = 200;
/// For the whole way of a job: claim and finish.
const BIG_BATCH: usize = 500;
const ROUNDS: usize = 20;
const TURN: usize = 5_000;
const WARM_UP: usize = 500;
/// Jobs whose rate is measured, after those that leave dead rows.
const TAIL: usize = 100_000;
const TAIL_AFTER: usize = 400_000;

pub(super) async fn run(stage: &Stage) -> anyhow::Result<Report> {
    let mut report = Report::new("lanes");
    let [one, hundred, many, throttled] = claims_ms(stage).await?;
    report.figure("claim_ms_1_lane", one);
    report.figure("claim_ms_100_lanes", hundred);
    report.figure("claim_ms_10000_lanes", many);
    report.figure("claim_ms_99pct_throttled", throttled);
    report.figure("ratio_100_lanes", hundred / one);
    report.figure("ratio_10000_lanes", many / one);
    report.figure("ratio_99pct_throttled", throttled / one);
    let rates = rates(stage).await?;
    report.figure("jobs_per_s", rates.with);
    report.figure("jobs_per_s_without_lanes", rates.without);
    report.figure("fairness_cost", rates.cost);
    let (free, pinned) = (tail(stage, false).await?, tail(stage, true).await?);
    report.figure("ratio_pinned", free.as_secs_f64() / pinned.as_secs_f64());
    report.setting("jobs", JOBS);
    report.setting("batch", BATCH);
    report.setting("claims", CLAIMS);
    report.setting(
        "rates",
        json!({"lanes": 50, "batch": BIG_BATCH, "rounds": ROUNDS, "turn": TURN, "connections": 1}),
    );
    report.setting("pinned", json!({"jobs": TAIL, "after": TAIL_AFTER}));
    Ok(report)
}

async fn worker(conn: &mut PgConnection) -> anyhow::Result<Uuid> {
    let id = Uuid::now_v7();
    sqlx::query(
        "insert into queue.workers (id, host, pid, version, queues, started_at, heartbeat_at, lease_until)
         values ($1, 'bench', 1, '0', '{}', queue.now(), queue.now(), queue.now() + interval '1 hour')",
    )
    .bind(id)
    .execute(conn)
    .await?;
    Ok(id)
}

/// The median times of a claim of a batch with a backlog in one, 100 and 10,000 lanes, and in
/// 10,000 of which 99 % may start nothing. They take turns, so that whatever else the machine does
/// falls on all of them.
async fn claims_ms(stage: &Stage) -> anyhow::Result<[f64; 4]> {
    stage.clear().await?;
    let mut conn = stage.pool.acquire().await?;
    let worker = worker(&mut conn).await?;
    let mut sides = Vec::new();
    for (queue, lanes, throttled) in
        [("one", 1, 0), ("hundred", 100, 0), ("many", 10_000, 0), ("throttled", 10_000, 9_900)]
    {
        backlog(stage, &mut conn, worker, queue, lanes, throttled).await?;
        sides.push((queue, Vec::with_capacity(CLAIMS)));
    }
    let mut claimers = Vec::new();
    for (queue, _) in &sides {
        claimers.push(Claimer::open(&mut conn, queue).await?);
    }
    for _ in 0..CLAIMS {
        for (claimer, (queue, times)) in claimers.iter_mut().zip(&mut sides) {
            let begun = Instant::now();
            let jobs = claimer.claim(&mut conn, worker, Capacity::of(BATCH)).await?.jobs.len();
            times.push(begun.elapsed());
            anyhow::ensure!(jobs == BATCH, "only {jobs} of {BATCH} jobs in a claim from {queue}");
        }
    }
    let medians: Vec<f64> = sides.iter_mut().map(|(_, times)| percentile_ms(times, 50)).collect();
    medians.try_into().map_err(|_| anyhow::anyhow!("not four medians"))
}

/// Fills `lanes` lanes of `queue`, of which `throttled` may start nothing.
async fn backlog(
    stage: &Stage,
    conn: &mut PgConnection,
    worker: Uuid,
    queue: &str,
    lanes: u128,
    throttled: u128,
) -> anyhow::Result<()> {
    let all = tenants(0, lanes);
    let each = JOBS / i64::try_from(lanes)?;
    stage.fill(queue, &all, each, json!({"takes_ms": 0})).await?;
    if throttled == 0 {
        return Ok(());
    }
    // One start an hour, and each has had it.
    let rate = Some(Rate { rate: 1, period_ms: 3_600_000, burst: 1 });
    let lane = LaneLimits { rate, ..LaneLimits::default() };
    change_queue(conn, queue, QueueChange::to(QueueLimits::default(), lane)).await?;
    let mut claimer = Claimer::open(conn, queue).await?;
    while claimer.claim(conn, worker, Capacity::of(2_000)).await?.poll_again {}
    // The rest of them are free.
    let free = &all[usize::try_from(throttled)?..];
    sqlx::query(
        "insert into queue.lanes (tenant_id, queue, limits) select tenant, $2, '{\"weight\": 1}' from unnest($1) as tenant",
    )
    .bind(free)
    .bind(queue)
    .execute(&mut *conn)
    .await?;
    stage.fill(queue, free, JOBS / 100, json!({"takes_ms": 0})).await?;
    weirgate_queue::lanes::change::publish(conn, queue).await?;
    Ok(())
}

/// Jobs a second through claim and finish, with lanes and without, and what part of the rate lanes
/// cost.
struct Rates {
    with: f64,
    without: f64,
    cost: f64,
}

/// Short turns of both, in pairs, each as often first: so that both have the same machine.
async fn rates(stage: &Stage) -> anyhow::Result<Rates> {
    stage.clear().await?;
    let mut conn = stage.pool.acquire().await?;
    let worker = worker(&mut conn).await?;
    for queue in ["bench", "list"] {
        let each = ROUNDS * (WARM_UP + TURN) / 50;
        stage.fill(queue, &tenants(0, 50), i64::try_from(each)?, json!({"takes_ms": 0})).await?;
    }
    // The one index that a claim without lanes needs.
    sqlx::raw_sql("create index bench_list on queue.jobs (priority, seq) where queue = 'list'")
        .execute(&mut *conn)
        .await?;
    let mut claimer = Claimer::open(&mut conn, "bench").await?;
    let mut list = List::default();
    let (mut with, mut without, mut costs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let lanes_first = round % 2 == 0;
        for lanes in [lanes_first, !lanes_first] {
            // Without lanes, nothing of them is paid for: no log.
            let triggers = if lanes { "enable" } else { "disable" };
            sqlx::raw_sql(AssertSqlSafe(format!("alter table queue.jobs {triggers} trigger user")))
                .execute(&mut *conn)
                .await?;
            let mut from = if lanes { From::Lanes(&mut claimer) } else { From::List(&mut list) };
            run_jobs(&mut conn, &mut from, worker, WARM_UP).await?;
            let took = run_jobs(&mut conn, &mut from, worker, TURN).await?.as_secs_f64();
            let rate = f64::from(u32::try_from(TURN)?) / took;
            if lanes { &mut with } else { &mut without }.push(rate);
        }
        costs.push(1.0 - with[round] / without[round]);
    }
    sqlx::raw_sql("drop index queue.bench_list; alter table queue.jobs enable trigger user")
        .execute(&mut *conn)
        .await?;
    Ok(Rates { with: median(with), without: median(without), cost: median(costs) })
}

/// How long the last of many jobs take; `pinned` while an old snapshot is held open from the first
/// one on, which keeps vacuum from removing any dead row.
async fn tail(stage: &Stage, pinned: bool) -> anyhow::Result<Duration> {
    stage.clear().await?;
    let mut conn = stage.pool.acquire().await?;
    let worker = worker(&mut conn).await?;
    let each = (TAIL_AFTER + TAIL) / 50;
    stage.fill("bench", &tenants(0, 50), i64::try_from(each)?, json!({"takes_ms": 0})).await?;
    let pin = if pinned { Some(pin(stage).await?) } else { None };
    let mut claimer = Claimer::open(&mut conn, "bench").await?;
    run_jobs(&mut conn, &mut From::Lanes(&mut claimer), worker, TAIL_AFTER).await?;
    let took = run_jobs(&mut conn, &mut From::Lanes(&mut claimer), worker, TAIL).await?;
    if let Some(pin) = pin {
        pin.rollback().await?;
    }
    Ok(took)
}

/// Where jobs are claimed from.
enum From<'a> {
    Lanes(&'a mut Claimer),
    List(&'a mut List),
}

/// How long it takes to claim and finish so many jobs.
async fn run_jobs(
    conn: &mut PgConnection,
    from: &mut From<'_>,
    worker: Uuid,
    jobs: usize,
) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut done = 0;
    while done < jobs {
        let runs: Vec<(Uuid, RunStart)> = match from {
            From::Lanes(claimer) => {
                let jobs = claimer.claim(conn, worker, Capacity::of(BIG_BATCH)).await?.jobs;
                jobs.into_iter().map(|job| (job.run.job, job.run.start())).collect()
            }
            From::List(list) => list.claim(conn, worker).await?,
        };
        anyhow::ensure!(!runs.is_empty(), "nothing was claimed");
        done += runs.len();
        let outcome = Outcome::Completed { output: serde_json::Value::Null, next: Vec::new() };
        let finishes = runs.into_iter().map(|(job, start)| Finish { job, start, outcome: outcome.clone() });
        finish(conn, finishes.collect()).await?;
    }
    Ok(begun.elapsed())
}

/// The same claim where all jobs are one list, read from a cursor as well.
#[derive(Default)]
struct List {
    cursor: i64,
    no: i64,
}

impl List {
    async fn claim(
        &mut self,
        conn: &mut PgConnection,
        worker: Uuid,
    ) -> anyhow::Result<Vec<(Uuid, RunStart)>> {
        type Row = (
            Uuid,
            i64,
            i64,
            Uuid,
            Option<Uuid>,
            i16,
            Option<String>,
            String,
            serde_json::Value,
            i16,
            DateTime<Utc>,
        );
        self.no += 1;
        let rows: Vec<Row> = sqlx::query_as(
            "with picked as materialized (
                select j.id, j.seq, j.run + 1 as run, j.tenant_id, j.backfill_id, j.attempt, j.traceparent, j.kind, j.args,
                    j.max_attempts
                from queue.jobs j
                where j.queue = 'list' and j.state = 'available' and (j.priority, j.seq) > (0, $3) and j.priority <= 0
                  and exists (select from queue.workers where id = $1 and lease_until > queue.now())
                order by j.priority, j.seq limit $2
            ), noted as (
                insert into queue.claims (worker_id, queue, claim_seq, jobs, runs)
                select $1, 'list', $4, array_agg(seq), array_agg(run) from picked
            )
            select *, queue.now() from picked",
        )
        .bind(worker)
        .bind(i64::try_from(BIG_BATCH)?)
        .bind(self.cursor)
        .bind(self.no)
        .fetch_all(conn)
        .await?;
        self.cursor = rows.iter().map(|row| row.1).max().unwrap_or(self.cursor);
        let start = |row: &Row| RunStart { seq: row.1, run: row.2, attempt: 1, worker, at: row.10 };
        Ok(rows.iter().map(|row| (row.0, start(row))).collect())
    }
}
