//! A steady stream of short jobs: how long each takes from end to end, and whether a backlog grows.

use std::time::{Duration, Instant};

use az::SaturatingAs;
use serde_json::{Value, json};

use super::clock::Clock;
use super::commits::Commits;
use super::fleet::Fleet;
use super::meter::{Meter, Spent};
use super::offer::Offer;
use super::outcome::{COUNTED, Outcome, Span, all_done};
use super::report::{Report, rounded};
use super::stage::Stage;

pub(super) const WORKERS: usize = 2;
pub(super) const SLOTS: usize = 500;
/// Offered before the figures begin.
pub(super) const WARM_UP: Duration = Duration::from_secs(5);
/// The pause between two snapshots that tell what has committed.
const LOOKS: Duration = Duration::from_millis(2);
const LASTS: Duration = Duration::from_mins(1);
const WINDOW: Duration = Duration::from_secs(5);

/// 5,000 jobs of 1 ms a second, after a warm-up.
pub(super) fn offer(lasts: Duration) -> Offer {
    Offer { rate: 5_000, lasts: WARM_UP + lasts, batch: 10, producers: 4, takes_ms: 1 }
}

pub(super) async fn run(stage: &Stage) -> anyhow::Result<Report> {
    let mut report = Report::new("steady");
    let offer = offer(LASTS);
    let Run { outcome, spent, .. } = under(stage, &offer, async |_| Ok(())).await?;
    let span = Span { from: WARM_UP, lasts: LASTS };
    report.figure("rate", outcome.rate(span));
    report.figure("e2e_p50_ms", outcome.percentile_ms(span, 50));
    report.figure("e2e_p99_ms", outcome.percentile_ms(span, 99));
    // The stalls that a percentile hides.
    report.figure("e2e_max_ms", outcome.percentile_ms(span, 100));
    report.figure("backlog_end", outcome.backlog(span.end()));
    let windows = outcome.windows_p99_ms(span, WINDOW).into_iter().map(rounded);
    report.setting("p99_ms_of_each_5_s", windows.collect::<Vec<_>>());
    report.setting("parts_ms", outcome.parts_ms(span));
    describe(&mut report, &offer);
    report.setting("spent_a_job", spent_a_job(&spent, &offer));
    Ok(report)
}

pub(super) fn describe(report: &mut Report, offer: &Offer) {
    report.setting("offer", offer.describe());
    report.setting("warm_up_s", WARM_UP.as_secs());
    report.setting("slots", json!({"workers": WORKERS, "each": SLOTS}));
    report.setting("e2e", COUNTED);
}

/// With the offering itself and what is watched, the warm-up and the end.
fn spent_a_job(spent: &Spent, offer: &Offer) -> Value {
    let a_job = |count: f64| rounded(count / f64::from(offer.jobs().saturating_as::<u32>()));
    json!({
        "wal_bytes": a_job(spent.wal_bytes),
        "commits": a_job(spent.commits),
        "server_us": spent.server_s.map(|seconds| a_job(seconds * 1e6)),
        "client_us": spent.client_s.map(|seconds| a_job(seconds * 1e6)),
    })
}

/// What came of it.
pub(super) struct Run<T> {
    pub(super) outcome: Outcome,
    pub(super) spent: Spent,
    pub(super) beside: T,
}

/// Runs worker processes under `offer`, and `beside` at the same time, which gets to know when the
/// offer begins.
pub(super) async fn under<T>(
    stage: &Stage,
    offer: &Offer,
    beside: impl AsyncFnOnce(Instant) -> anyhow::Result<T>,
) -> anyhow::Result<Run<T>> {
    stage.clear().await?;
    let fleet = Fleet::start(stage, WORKERS, SLOTS).await?;
    let mut clients = fleet.processes();
    clients.push(std::process::id());
    let meter = Meter::begin(&stage.pool, &clients).await?;
    let commits = Commits::watch(stage.options(), LOOKS)?;
    let clock = Clock::read(&mut *stage.pool.acquire().await?).await?;
    let begin = Instant::now() + Duration::from_millis(500);
    let ((), beside) = tokio::try_join!(offer.make(stage, begin), beside(begin))?;
    all_done(stage).await?;
    let stopped = meter.stop().await?;
    let seen = commits.stop().await?;
    fleet.stop().await?;
    let spent = stopped.spent().await?;
    Ok(Run { outcome: Outcome::read(stage, offer, &seen, &clock, begin).await?, spent, beside })
}
