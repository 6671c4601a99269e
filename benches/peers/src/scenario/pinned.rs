//! The same stream beside a transaction left open, so that vacuum may remove nothing.

use std::time::Duration;

use super::Stage;
use super::stream::{Stream, describe};
use crate::report::Report;

const ALONE: Duration = Duration::from_secs(30);
const LASTS: Duration = Duration::from_secs(90);
/// The last part of the time beside it, in which it tells most.
const LATE: Duration = Duration::from_secs(75);

pub(super) async fn run(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let stream = Stream::run(stage, LASTS, hold(stage)).await?;
    let (rate, p99) =
        (stream.rate(Duration::ZERO, ALONE), stream.e2e_ms(Duration::from_secs(5), ALONE, 99));
    report.figure("rate_alone", rate);
    report.figure("p99_alone_ms", p99);
    report.figure("rate_pinned_ratio", stream.rate(ALONE, LASTS) / rate);
    report.figure("p99_pinned_ratio", stream.e2e_ms(ALONE, LASTS, 99) / p99);
    report.figure("p99_late_ms", stream.e2e_ms(LATE, LASTS, 99));
    report.figure("backlog_end", stream.backlog(LASTS));
    report.setting("pinned_after_s", ALONE.as_secs());
    describe(report, LASTS);
    Ok(())
}

async fn hold(stage: &Stage) -> anyhow::Result<()> {
    tokio::time::sleep(ALONE).await;
    let mut tx = stage.pool.begin().await?;
    sqlx::raw_sql(
        "set transaction isolation level repeatable read; set local idle_in_transaction_session_timeout = 0;
         select pg_current_xact_id()",
    )
    .execute(&mut *tx)
    .await?;
    tokio::time::sleep(LASTS - ALONE).await;
    tx.rollback().await?;
    Ok(())
}
