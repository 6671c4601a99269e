//! What a job writes from its enqueue to its finish.

use super::drain::drain;
use super::{Stage, float};
use crate::meter::Meter;
use crate::report::Report;

const JOBS: usize = 50_000;
const AT_ONCE: usize = 100;

pub(super) async fn run(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    stage.settle().await?;
    let meter = Meter::begin(&stage.pool, &[]).await?;
    stage.fill(JOBS, AT_ONCE).await?;
    let enqueued = meter.stop().await?.spent().await?;
    let drained = drain(stage, JOBS, 1, true).await?;
    let jobs = float(u64::try_from(JOBS)?);
    report.figure("wal_bytes_per_job_enqueued", enqueued.wal_bytes / jobs);
    report.figure("commits_per_job_enqueued", enqueued.commits / jobs);
    if let Some(spent) = drained.spent {
        let done = float(drained.done);
        report.figure("wal_bytes_per_job", enqueued.wal_bytes / jobs + spent.wal_bytes / done);
        report.figure("commits_per_job", enqueued.commits / jobs + spent.commits / done);
    }
    report.setting("jobs", JOBS);
    report.setting("enqueued_at_once", AT_ONCE);
    Ok(())
}
