//! 5,000 jobs of 1 ms a second, whatever becomes of those before.

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
const TAKES_MS: u64 = 1;
/// What has not run so long after the last one was offered counts as backlog.
const GRACE: Duration = Duration::from_secs(5);

/// What became of the jobs.
pub(super) struct Stream {
    begun: Instant,
    /// When each was committed, and when its handler ended; none where it has not.
    jobs: Vec<(Instant, Option<Instant>)>,
    latest: Instant,
}

impl Stream {
    /// Offers jobs for `lasts` to a worker process, with `beside` going on from its beginning.
    pub(super) async fn run(
        stage: &Stage,
        lasts: Duration,
        beside: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<Self> {
        let producer = stage.peer.producer(&stage.url, PRODUCERS).await?;
        let url = stage.url.clone();
        let peer = stage.peer;
        let working = tokio::spawn(async move { peer.work(&url).await });
        tokio::time::sleep(Duration::from_secs(2)).await;
        let begun = Instant::now();
        let mut producers = JoinSet::new();
        for place in 0..PRODUCERS {
            let producer = producer.clone();
            producers.spawn(async move {
                tokio::time::sleep(EVERY * place / PRODUCERS).await;
                let mut ticks = tokio::time::interval(EVERY);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
                let mut committed = Vec::new();
                let mut next = place * (u32::MAX / PRODUCERS);
                while begun.elapsed() < lasts {
                    ticks.tick().await;
                    let numbers = next..next + AT_ONCE;
                    next = numbers.end;
                    let jobs = numbers.clone().map(|n| Work { takes_ms: TAKES_MS, n: Some(n) });
                    producer.many(jobs.collect()).await?;
                    let at = Instant::now();
                    committed.extend(numbers.map(|n| (n, at)));
                }
                anyhow::Ok(committed)
            });
        }
        beside.await?;
        let mut committed = Vec::new();
        while let Some(of_producer) = producers.join_next().await {
            committed.extend(of_producer??);
        }
        tokio::time::sleep(GRACE).await;
        if working.is_finished() {
            working.await??;
        }
        let seen = work::seen();
        let jobs = committed.into_iter().map(|(n, at)| (at, seen.get(&n).map(|ran| ran.ended)));
        Ok(Self { begun, jobs: jobs.collect(), latest: Instant::now() })
    }

    /// Jobs that ended a second, from and to so long after the beginning.
    pub(super) fn rate(&self, from: Duration, to: Duration) -> f64 {
        let ended = self.jobs.iter().filter_map(|(_, ended)| *ended);
        let within = ended.filter(|at| (from..to).contains(&at.saturating_duration_since(self.begun)));
        float(within.count() as u64) / (to - from).as_secs_f64()
    }

    /// Of those committed from and to so long after the beginning. What has not run yet has waited
    /// until now.
    pub(super) fn e2e_ms(&self, from: Duration, to: Duration, percent: usize) -> f64 {
        let within = self.jobs.iter().filter(|(at, _)| (from..to).contains(&(*at - self.begun)));
        let waited = within.map(|(at, ended)| ended.unwrap_or(self.latest).saturating_duration_since(*at));
        percentile_ms(&mut waited.collect::<Vec<_>>(), percent)
    }

    /// Jobs that had not run when the stream ended after `lasts`.
    pub(super) fn backlog(&self, lasts: Duration) -> f64 {
        let late = |ended: &Option<Instant>| ended.is_none_or(|at| at > self.begun + lasts);
        float(self.jobs.iter().filter(|(_, ended)| late(ended)).count() as u64)
    }
}

pub(super) fn describe(report: &mut Report, lasts: Duration) {
    report.setting("offered_per_s", 5000);
    report.setting("at_once", AT_ONCE);
    report.setting("seconds", lasts.as_secs());
    report.setting("takes_ms", TAKES_MS);
    report.setting("e2e", "from the commit to the handler's end, as not every peer shows its finish");
}
