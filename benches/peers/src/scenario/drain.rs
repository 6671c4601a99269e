//! A backlog worked off by worker processes as fast as they can.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::{BULK, Stage, float};
use crate::meter::{Meter, Spent};
use crate::report::Report;
use crate::work;
use crate::worker::Worker;

pub(super) const JOBS: usize = 100_000;
/// Who is slower gets no further, and is judged by what was done.
const LIMIT: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(10);

pub(super) async fn run(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    stage.fill(JOBS, BULK).await?;
    let one = drain(stage, JOBS, 1, true).await?;
    report.figure("jobs_per_s_1", one.per_s());
    if let Some(spent) = one.spent {
        spent.report(report, i64::try_from(one.done)?)?;
    }
    stage.fill(JOBS, BULK).await?;
    let two = drain(stage, JOBS, 2, false).await?;
    report.figure("jobs_per_s_2", two.per_s());
    report.setting("jobs", JOBS);
    report.setting("time", "from the first handler's start to the last finish");
    report.setting("metered", "with the worker's start in the database");
    if one.cut || two.cut {
        report.setting("cut_after_s", LIMIT.as_secs());
    }
    Ok(())
}

pub(super) struct Drained {
    pub(super) done: u64,
    seconds: f64,
    /// Whether its time was up.
    cut: bool,
    pub(super) spent: Option<Spent>,
}

impl Drained {
    pub(super) fn per_s(&self) -> f64 {
        float(self.done) / self.seconds
    }
}

/// Works off what is enqueued, by so many worker processes that are started but have yet to
/// connect.
pub(super) async fn drain(
    stage: &Stage,
    jobs: usize,
    processes: usize,
    metered: bool,
) -> anyhow::Result<Drained> {
    stage.settle().await?;
    let mut workers = Vec::new();
    for _ in 0..processes {
        workers.push(Worker::start(stage.peer, &stage.url).await?);
    }
    let pids: Vec<u32> = workers.iter().filter_map(Worker::id).collect();
    let meter = if metered { Some(Meter::begin(&stage.pool, &pids).await?) } else { None };
    for worker in &mut workers {
        worker.go().await?;
    }
    let left = finish(stage, &mut workers, jobs).await?;
    let ended = work::now();
    let stopped = if let Some(meter) = meter { Some(meter.stop().await?) } else { None };
    let first = workers.iter().filter_map(Worker::first).min().context("no job was started")?;
    for worker in workers {
        worker.end().await?;
    }
    let spent = if let Some(stopped) = stopped { Some(stopped.spent().await?) } else { None };
    let done = u64::try_from(jobs)?.saturating_sub(left);
    Ok(Drained { done, seconds: ended.saturating_sub(first).as_secs_f64(), cut: left > 0, spent })
}

/// Waits until all are finished or the time is up; says how many are left.
async fn finish(stage: &Stage, workers: &mut [Worker], jobs: usize) -> anyhow::Result<u64> {
    let begun = Instant::now();
    // The database is asked only when every handler has run, as that costs it something.
    let jobs = u64::try_from(jobs)?;
    while workers.iter().map(Worker::ran).sum::<u64>() < jobs && begun.elapsed() < LIMIT {
        for worker in &mut *workers {
            worker.check()?;
        }
        tokio::time::sleep(LOOK).await;
    }
    loop {
        let left = stage.unfinished().await?;
        if left == 0 || begun.elapsed() >= LIMIT {
            return Ok(left);
        }
        tokio::time::sleep(LOOK).await;
    }
}
