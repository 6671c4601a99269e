//! Draining beside finished jobs that are kept.

use anyhow::Context;

use super::drain::{JOBS, drain};
use super::{BULK, Stage};
use crate::report::Report;

const PAST: i64 = 500_000;

pub(super) async fn run(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let past = stage.peer.past().context("does not keep finished jobs as rows")?;
    stage.fill(JOBS, BULK).await?;
    let without = drain(stage, JOBS, 1, false).await?.per_s();
    sqlx::query(past).bind(PAST).execute(&stage.pool).await.context("writing finished jobs")?;
    stage.fill(JOBS, BULK).await?;
    let with = drain(stage, JOBS, 1, false).await?.per_s();
    report.figure("jobs_per_s_without", without);
    report.figure("jobs_per_s_with", with);
    report.figure("ratio", with / without);
    report.setting("jobs", JOBS);
    report.setting("finished_jobs", PAST);
    Ok(())
}
