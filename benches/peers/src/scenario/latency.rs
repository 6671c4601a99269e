//! From commit to the handler's first line, when there is nothing else to do.

use std::time::{Duration, Instant};

use super::Stage;
use crate::report::{Report, percentile_ms};
use crate::work::{self, Work};

const JOBS: u32 = 500;
const EVERY: Duration = Duration::from_millis(10);
const WARM: u32 = 20;

pub(super) async fn run(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let producer = stage.peer.producer(&stage.url, 1).await?;
    let url = stage.url.clone();
    let peer = stage.peer;
    let working = tokio::spawn(async move { peer.work(&url).await });
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut committed = Vec::new();
    let first = tokio::time::Instant::now();
    for n in 0..WARM + JOBS {
        tokio::time::sleep_until(first + EVERY * n).await;
        producer.one(Work { takes_ms: 0, n: Some(n) }).await?;
        committed.push((n, Instant::now()));
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    if working.is_finished() {
        working.await??;
    }
    let seen = work::seen();
    // What never ran counts as the whole time.
    let late = Duration::from_mins(1);
    let since = |after: fn(&work::Ran) -> Instant| -> Vec<Duration> {
        let of = |(n, at): &(u32, Instant)| {
            seen.get(n).map_or(late, |ran| after(ran).saturating_duration_since(*at))
        };
        committed.iter().filter(|(n, _)| *n >= WARM).map(of).collect()
    };
    let (mut starts, mut ends) = (since(|ran| ran.begun), since(|ran| ran.ended));
    report.figure("start_p50_ms", percentile_ms(&mut starts, 50));
    report.figure("start_p99_ms", percentile_ms(&mut starts, 99));
    report.figure("handled_p99_ms", percentile_ms(&mut ends, 99));
    report.setting("jobs", JOBS);
    report.setting("every_ms", 10);
    Ok(())
}
