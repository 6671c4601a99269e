//! What a long history costs the workers: a drain with millions of finished jobs of the same lanes,
//! and without.

use super::drain::{Drain, SLOTS};
use super::fill::Past;
use super::report::{Report, median};
use super::stage::{Stage, tenants};

const KEPT: i64 = 10_000_000;
const ROUNDS: usize = 5;

pub(super) async fn run(stage: &Stage) -> anyhow::Result<Report> {
    let drain = Drain::default();
    let kept = stage.beside().await?;
    let lanes = tenants(0, drain.tenants);
    let kinds = [("bench", "bench", 1000)];
    let past =
        Past { jobs: KEPT, tenants: &lanes, kinds: &kinds, backfills: &[], last_day: None, live: false };
    kept.fill_past(&past).await?;
    let (mut with, mut without, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    // In turns, so that whatever else the machine does falls on both.
    for round in 0..ROUNDS {
        without.push(drain.run(stage).await?);
        drain.fill(&kept).await?;
        with.push(drain.measure(&kept).await?);
        ratios.push(with[round] / without[round]);
    }
    kept.close().await?;
    let mut report = Report::new("history");
    report.figure("jobs_per_s", median(with));
    report.figure("jobs_per_s_without", median(without));
    report.figure("ratio", median(ratios));
    report.setting("kept", KEPT);
    report.setting("jobs", drain.measured);
    report.setting("rounds", ROUNDS);
    report.setting("workers", drain.workers);
    report.setting("slots", SLOTS);
    Ok(report)
}
