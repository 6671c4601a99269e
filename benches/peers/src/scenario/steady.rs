//! Jobs at a fixed rate for a while.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::{Stage, float};
use crate::report::{Report, percentile_ms};
use crate::work::{self, Work};

const PRODUCERS: u32 = 4;
const AT_ONCE: u32 = 50;
/// 5,000 a second, by four producers.
const EVERY: Duration = Duration::from_millis(40);
const SECONDS: u32 = 30;
const TAKES_MS: u64 = 1;

pub(super) async fn run(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let producer = stage.peer.producer(&stage.url, PRODUCERS).await?;
    let url = stage.url.clone();
    let peer = stage.peer;
    let working = tokio::spawn(async move { peer.work(&url).await });
    tokio::time::sleep(Duration::from_secs(2)).await;
    let until = Instant::now() + Duration::from_secs(u64::from(SECONDS));
    let mut producers = JoinSet::new();
    for place in 0..PRODUCERS {
        let producer = producer.clone();
        producers.spawn(async move {
            tokio::time::sleep(EVERY * place / PRODUCERS).await;
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let mut committed = Vec::new();
            let mut next = place * (u32::MAX / PRODUCERS);
            while Instant::now() < until {
                ticks.tick().await;
                let numbers = next..next + AT_ONCE;
                next = numbers.end;
                producer
                    .many(numbers.clone().map(|n| Work { takes_ms: TAKES_MS, n: Some(n) }).collect())
                    .await?;
                let at = Instant::now();
                committed.extend(numbers.map(|n| (n, at)));
            }
            anyhow::Ok(committed)
        });
    }
    let mut committed = Vec::new();
    while let Some(of_producer) = producers.join_next().await {
        committed.extend(of_producer??);
    }
    let done = work::ran();
    tokio::time::sleep(Duration::from_secs(5)).await;
    if working.is_finished() {
        working.await??;
    }
    let seen = work::seen();
    let latest = Instant::now();
    // What has not run yet has waited until now.
    let waited =
        |(n, at): &(u32, Instant)| seen.get(n).map_or(latest, |ran| ran.ended).saturating_duration_since(*at);
    let mut waits: Vec<Duration> = committed.iter().map(waited).collect();
    report.figure("offered_per_s", float(u64::try_from(committed.len())?) / f64::from(SECONDS));
    report.figure("rate", float(done) / f64::from(SECONDS));
    report.figure("e2e_p50_ms", percentile_ms(&mut waits, 50));
    report.figure("e2e_p99_ms", percentile_ms(&mut waits, 99));
    report.figure("backlog_end", float(u64::try_from(committed.len())?.saturating_sub(done)));
    report.setting("offered_per_s", 5000);
    report.setting("at_once", AT_ONCE);
    report.setting("seconds", SECONDS);
    report.setting("takes_ms", TAKES_MS);
    report.setting("e2e", "from the commit to the handler's end, as not every peer shows its finish");
    Ok(())
}
