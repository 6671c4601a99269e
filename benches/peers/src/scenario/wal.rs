//! What a job writes from its enqueue to its finish.

use anyhow::Context;

use super::drain::drain;
use super::{Stage, float};
use crate::meter::Meter;
use crate::report::Report;

const JOBS: usize = 20_000;
/// As ordinary clients enqueue.
const AT_ONCE: usize = 10;

pub(super) async fn run(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    // Whole pages are written at their first change after a checkpoint: for everyone from here on.
    sqlx::raw_sql("checkpoint").execute(&stage.pool).await.context("a checkpoint")?;
    let meter = Meter::begin(&stage.pool, &[]).await?;
    stage.fill(JOBS, AT_ONCE).await?;
    let enqueued = meter.stop().await?.spent().await?;
    let drained = drain(stage, JOBS, 1, true).await?;
    let jobs = float(u64::try_from(JOBS)?);
    report.figure("wal_bytes_per_job_enqueue", enqueued.wal_bytes / jobs);
    report.figure("commits_per_job_enqueue", enqueued.commits / jobs);
    if let Some(spent) = drained.spent {
        let done = float(drained.done);
        report.figure("wal_bytes_per_job", enqueued.wal_bytes / jobs + spent.wal_bytes / done);
        report.figure("commits_per_job", enqueued.commits / jobs + spent.commits / done);
    }
    report.setting("jobs", JOBS);
    report.setting("checkpoint", "before the enqueue, none between it and the run");
    report.setting("at_once", AT_ONCE);
    Ok(())
}
