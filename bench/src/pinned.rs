//! The steady stream while vacuum may remove nothing: beside a transaction left open, and beside
//! slow readers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::ensure;
use az::SaturatingAs;
use serde_json::{Value, json};

use super::outcome::{Outcome, Span};
use super::report::{Report, rounded};
use super::snapshots::{pin, read_slowly};
use super::stage::Stage;
use super::steady::{self, Run, WARM_UP};

pub(super) const MINUTES: f64 = 5.0;
const READERS: u32 = 4;
const READER_HOLDS: Duration = Duration::from_secs(20);
/// Recovered is a 99th percentile within this of the one alone, for so many windows one after the
/// other.
const WITHIN: f64 = 1.2;
const IN_ROW: usize = 3;
const WINDOW: Duration = Duration::from_secs(1);

/// What goes on beside the stream, one after the other.
struct Phases {
    alone: Span,
    pinned: Span,
    released: Span,
    readers: Span,
}

impl Phases {
    fn of(all: Duration) -> Self {
        let after = |before: Duration, tenths| Span { from: before, lasts: all * tenths / 10 };
        let alone = after(WARM_UP, 2);
        let pinned = after(alone.end(), 4);
        let released = after(pinned.end(), 1);
        let readers = after(released.end(), 3);
        Self { alone, pinned, released, readers }
    }
}

pub(super) async fn run(stage: &Stage, minutes: f64) -> anyhow::Result<Report> {
    ensure!((0.5..=120.0).contains(&minutes), "--minutes must be 0.5 to 120");
    let lasts = Duration::from_secs_f64(minutes * 60.0);
    let (phases, offer) = (Phases::of(lasts), steady::offer(lasts));
    let Run { outcome, beside: dead, .. } =
        steady::under(stage, &offer, async |begin| beside(stage, &phases, begin).await).await?;
    let mut report = Report::new("pinned");
    figures(&outcome, &phases, &mut report);
    for (figure, phase) in [
        ("dead_rows_alone", &dead.alone),
        ("dead_rows_pinned", &dead.pinned),
        ("dead_rows_released", &dead.released),
        ("dead_rows_readers", &dead.readers),
    ] {
        report.figure(figure, phase.values().sum());
    }
    report.setting("dead_rows_pinned_of", json!(dead.pinned));
    report.setting("minutes", minutes);
    report.setting(
        "readers",
        json!({"readers": READERS, "each_holds_s": READER_HOLDS.as_secs(), "rows": "500 every 100 ms"}),
    );
    report.setting(
        "recovered",
        "p99 of 3 windows of 1 s, one after the other, at most 1.2 times that of alone",
    );
    steady::describe(&mut report, &offer);
    Ok(report)
}

fn figures(outcome: &Outcome, phases: &Phases, report: &mut Report) {
    let (rate, p99) = (outcome.rate(phases.alone), outcome.percentile_ms(phases.alone, 99));
    let against = |phase| (outcome.rate(phase) / rate, outcome.percentile_ms(phase, 99) / p99);
    let (pinned, readers) = (against(phases.pinned), against(phases.readers));
    report.figure("rate_alone", rate);
    report.figure("p99_alone_ms", p99);
    report.figure("rate_pinned_ratio", pinned.0);
    report.figure("p99_pinned_ratio", pinned.1);
    report.figure("rate_readers_ratio", readers.0);
    report.figure("p99_readers_ratio", readers.1);
    report.figure("rate_ratio", pinned.0.min(readers.0));
    report.figure("p99_ratio", pinned.1.max(readers.1));
    report.figure("backlog_end", outcome.backlog(phases.readers.end()));
    let windows = outcome.windows_p99_ms(phases.released, WINDOW);
    let recovery = windows.windows(IN_ROW).position(|row| row.iter().all(|ms| *ms <= p99 * WITHIN));
    // Where it has not come, all of the time there was.
    let recovery_s = recovery.unwrap_or(windows.len());
    report.figure("recovery_s", f64::from(recovery_s.saturating_as::<u32>()));
    report.setting("recovered_in_time", recovery.is_some());
    let phase = |phase: Span| {
        json!({
            "seconds": phase.lasts.as_secs_f64(),
            "p50_ms": rounded(outcome.percentile_ms(phase, 50)),
            "p99_ms": rounded(outcome.percentile_ms(phase, 99)),
            "max_ms": rounded(outcome.percentile_ms(phase, 100)),
            "p99_ms_first_and_last_tenth": first_and_last(outcome, phase),
            "parts_ms": outcome.parts_ms(phase),
        })
    };
    report.setting("alone", phase(phases.alone));
    report.setting("pinned", phase(phases.pinned));
    report.setting("released", phase(phases.released));
    report.setting("with_readers", phase(phases.readers));
}

fn first_and_last(outcome: &Outcome, phase: Span) -> Value {
    let windows = outcome.windows_p99_ms(phase, phase.lasts / 10);
    json!([windows.first().copied().map(rounded), windows.last().copied().map(rounded)])
}

/// Dead rows of each table of the engine.
type Dead = BTreeMap<String, f64>;

/// At the end of each phase.
struct DeadRows {
    alone: Dead,
    pinned: Dead,
    released: Dead,
    readers: Dead,
}

async fn beside(stage: &Stage, phases: &Phases, begin: Instant) -> anyhow::Result<DeadRows> {
    let reached = async |at: Duration| tokio::time::sleep_until((begin + at).into()).await;
    reached(phases.alone.end()).await;
    let alone = dead_rows(stage).await?;
    let pin = pin(stage).await?;
    reached(phases.pinned.end()).await;
    let pinned = dead_rows(stage).await?;
    pin.rollback().await?;
    reached(phases.released.end()).await;
    let released = dead_rows(stage).await?;
    read_slowly(stage, READERS, READER_HOLDS, begin + phases.readers.end()).await?;
    Ok(DeadRows { alone, pinned, released, readers: dead_rows(stage).await? })
}

/// As the server's statistics have it: nearly.
async fn dead_rows(stage: &Stage) -> anyhow::Result<Dead> {
    let rows: Vec<(String, f64)> = sqlx::query_as(
        "select relname::text, n_dead_tup::float8 from pg_stat_user_tables
         where schemaname = 'queue' and n_dead_tup > 0",
    )
    .fetch_all(&stage.pool)
    .await?;
    Ok(rows.into_iter().collect())
}
