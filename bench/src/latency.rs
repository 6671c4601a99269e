//! Single jobs while nothing else goes on: how soon each starts, and how soon it is done.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use az::SaturatingAs;
use serde_json::{Value, json};
use sqlx::Connection as _;
use uuid::Uuid;
use weirgate_queue::{NewJob, enqueue};

use super::clock::Clock;
use super::commits::Commits;
use super::report::{Report, percentile_ms, rounded};
use super::stage::{Stage, tenants};
use super::work::{Starts, Work, Worker};

const JOBS: usize = 500;
const WARM_UP: usize = 100;
const EVERY: Duration = Duration::from_millis(10);
const WORK: Work = Work { takes_ms: 0, slice: None };
const SLOTS: usize = 16;
const TENANTS: u128 = 50;
/// The pause between two snapshots that tell what has committed.
const LOOKS: Duration = Duration::from_micros(200);

pub(super) async fn run(stage: &Stage) -> anyhow::Result<Report> {
    stage.clear().await?;
    let starts = Arc::new(Starts::default());
    let worker = Worker::start(stage.connections(), starts.clone(), SLOTS);
    tokio::time::sleep(Duration::from_secs(2)).await;
    singles(stage, WARM_UP).await?;
    let mut report = Report::new("latency");
    started(stage, &starts, &mut report).await?;
    done(stage, &mut report).await?;
    worker.stop().await?;
    report.setting("jobs", json!({"each_round": JOBS, "every_ms": 10, "tenants": 50, "takes_ms": 0}));
    report.setting("slots", SLOTS);
    report.setting(
        "start",
        "from the answer to the commit until the handler's first line, in one process, by its clock",
    );
    report.setting(
        "done",
        "a round of its own; from the answer to the commit until a snapshot, one every 0.2 ms and the time it takes, \
         showed the finish committed; by the database's clock",
    );
    Ok(report)
}

/// Enqueues one job after the other; returns when the commit of each was answered.
async fn singles(stage: &Stage, jobs: usize) -> anyhow::Result<Vec<(Uuid, Instant)>> {
    let mut conn = stage.pool.acquire().await?;
    let mut committed = Vec::with_capacity(jobs);
    let mut ticks = tokio::time::interval(EVERY);
    for tenant in tenants(0, TENANTS).into_iter().cycle().take(jobs) {
        ticks.tick().await;
        let mut tx = conn.begin().await?;
        let job = enqueue(&mut tx, vec![NewJob::of(tenant, &WORK)?.not_unique()]).await?[0].id;
        tx.commit().await?;
        committed.push((job, Instant::now()));
    }
    // The last ones finish.
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(committed)
}

async fn started(stage: &Stage, starts: &Starts, report: &mut Report) -> anyhow::Result<()> {
    starts.take();
    let clock = Clock::read(&mut *stage.pool.acquire().await?).await?;
    let committed = singles(stage, JOBS).await?;
    let started = starts.take();
    let ends = ends(stage, &committed).await?;
    let (mut latencies, mut to_claim, mut from_claim) = (Vec::new(), Vec::new(), Vec::new());
    for ((job, at), end) in committed.into_iter().zip(ends) {
        let start = *started.get(&job).context("a job has not started")?;
        latencies.push(start.saturating_duration_since(at));
        to_claim.push(between(clock.micros(at), end.claimed));
        from_claim.push(between(end.claimed, clock.micros(start)));
    }
    report.figure("start_p50_ms", percentile_ms(&mut latencies, 50));
    report.figure("start_p99_ms", percentile_ms(&mut latencies, 99));
    let parts = json!({"to_claim_begun": parts(&mut to_claim), "to_start": parts(&mut from_claim)});
    report.setting("start_parts_ms", parts);
    Ok(())
}

async fn done(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let clock = Clock::read(&mut *stage.pool.acquire().await?).await?;
    let commits = Commits::watch(stage.options(), LOOKS)?;
    let committed = singles(stage, JOBS).await?;
    let seen = commits.stop().await?;
    let ends = ends(stage, &committed).await?;
    let (mut latencies, mut to_finish, mut from_finish) = (Vec::new(), Vec::new(), Vec::new());
    for ((_, at), end) in committed.into_iter().zip(ends) {
        let over = seen.at(end.xmin)?;
        latencies.push(between(clock.micros(at), over));
        to_finish.push(between(clock.micros(at), end.finished));
        from_finish.push(between(end.finished, over));
    }
    report.figure("done_p50_ms", percentile_ms(&mut latencies, 50));
    report.figure("done_p99_ms", percentile_ms(&mut latencies, 99));
    let parts =
        json!({"to_finish_begun": parts(&mut to_finish), "to_finish_committed": parts(&mut from_finish)});
    report.setting("done_parts_ms", parts);
    Ok(())
}

fn between(from: i64, to: i64) -> Duration {
    Duration::from_micros((to - from).saturating_as::<u64>())
}

fn parts(times: &mut [Duration]) -> Value {
    let [p50, p99] = [50, 99].map(|percent| rounded(percentile_ms(times, percent)));
    json!({"p50": p50, "p99": p99})
}

/// How a job ended; microseconds of the database's clock.
struct End {
    claimed: i64,
    finished: i64,
    xmin: i64,
}

/// Of each job, in order. Fails unless each was finished, once.
async fn ends(stage: &Stage, jobs: &[(Uuid, Instant)]) -> anyhow::Result<Vec<End>> {
    let ids: Vec<Uuid> = jobs.iter().map(|(job, _)| *job).collect();
    let rows: Vec<(bool, i64, i64, i64)> = sqlx::query_as(
        "select state = 'completed' and run = 1 and attempt = 1, j.xmin::text::bigint,
             (extract(epoch from attempted_at) * 1000000)::bigint,
             coalesce((extract(epoch from finalized_at) * 1000000)::bigint, 0)
         from unnest($1) with ordinality as n (id, position) join queue.jobs j using (id) order by position",
    )
    .bind(&ids)
    .fetch_all(&stage.pool)
    .await?;
    ensure!(rows.len() == ids.len(), "{} of {} jobs are there", rows.len(), ids.len());
    ensure!(rows.iter().all(|row| row.0), "a job was not completed in one run");
    Ok(rows.into_iter().map(|(_, xmin, claimed, finished)| End { claimed, finished, xmin }).collect())
}
