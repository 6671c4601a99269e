//! Jobs at a fixed rate for a while.

use std::time::Duration;

use super::Stage;
use super::stream::{Stream, describe};
use crate::report::Report;

const LASTS: Duration = Duration::from_secs(30);

pub(super) async fn run(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let stream = Stream::run(stage, LASTS, async { Ok(()) }).await?;
    report.figure("rate", stream.rate(Duration::ZERO, LASTS));
    report.figure("e2e_p50_ms", stream.e2e_ms(Duration::ZERO, LASTS, 50));
    report.figure("e2e_p99_ms", stream.e2e_ms(Duration::ZERO, LASTS, 99));
    report.figure("backlog_end", stream.backlog(LASTS));
    describe(report, LASTS);
    Ok(())
}
