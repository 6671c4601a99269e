//! What became of the jobs of an [`Offer`], read when all is over.

use std::time::{Duration, Instant};

use anyhow::ensure;
use az::SaturatingAs;
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use weirgate_queue::lanes::QueueView;

use super::clock::Clock;
use super::commits::Seen;
use super::offer::Offer;
use super::report::{percentile_ms, rounded};
use super::stage::Stage;

/// How long jobs may take after the last one was offered.
const END_LIMIT: Duration = Duration::from_mins(2);

/// How it is counted, for the settings of a report.
pub(super) const COUNTED: &str = "from when a job was due to be offered until a snapshot, one every 2 ms, showed its \
    finish committed; all by the database's clock; read after the run";

/// From where to where parts of a job's way go.
const PARTS: [&str; 4] = ["due_to_enqueue_begun", "to_claim_begun", "to_finish_begun", "to_finish_committed"];

/// A time of the measurement, counted from its beginning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) from: Duration,
    pub(super) lasts: Duration,
}

impl Span {
    pub(super) fn end(self) -> Duration {
        self.from + self.lasts
    }

    fn contains(self, at: Duration) -> bool {
        (self.from..self.end()).contains(&at)
    }
}

/// One job: when it was due and over, from the beginning on, and how long each part took.
struct Way {
    due: Duration,
    over: Duration,
    parts_us: [u32; 4],
}

/// All of them.
pub(super) struct Outcome(Vec<Way>);

/// Waits until nothing is left to do. The lanes' counts tell, as counting millions of jobs would
/// take minutes.
pub(super) async fn all_done(stage: &Stage) -> anyhow::Result<()> {
    let deadline = Instant::now() + END_LIMIT;
    let mut conn = stage.pool.acquire().await?;
    let mut view = QueueView::open(&mut conn, "bench").await?;
    loop {
        let counts = view.activity().counts;
        let left: i64 = counts.iter().filter(|(state, _)| !state.is_final()).map(|(_, count)| count).sum();
        if left == 0 {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{left} jobs are left {END_LIMIT:?} after the last was offered");
        tokio::time::sleep(Duration::from_millis(250)).await;
        view.refresh(&mut conn).await?;
    }
}

impl Outcome {
    /// Fails unless each job of `offer` was finished, once.
    pub(super) async fn read(
        stage: &Stage,
        offer: &Offer,
        seen: &Seen,
        clock: &Clock,
        begin: Instant,
    ) -> anyhow::Result<Self> {
        let begin = clock.micros(begin);
        let mut found = vec![false; usize::try_from(offer.jobs())?];
        let mut ways = Vec::with_capacity(found.len());
        let mut rows = sqlx::query_as::<_, Row>(
            "select (args ->> 'slice')::bigint, state = 'completed' and run = 1 and attempt = 1, xmin::text::bigint,
                 (extract(epoch from created_at) * 1000000)::bigint,
                 (extract(epoch from attempted_at) * 1000000)::bigint,
                 (extract(epoch from finalized_at) * 1000000)::bigint
             from queue.jobs",
        )
        .fetch(&stage.pool);
        while let Some((job, once, xmin, created, claimed, finished)) = rows.try_next().await? {
            ensure!(once, "job {job} was not completed in one run");
            let is_second = std::mem::replace(&mut found[usize::try_from(job)?], true);
            ensure!(!is_second, "job {job} is there twice");
            let due = offer.due(job.unsigned_abs());
            let over = seen.at(xmin)?;
            ensure!(
                over >= finished,
                "job {job} was over before its finish began: another change came after it"
            );
            let marks = [begin + i64::try_from(due.as_micros())?, created, claimed, finished, over];
            let part = |n: usize| (marks[n + 1] - marks[n]).max(0).saturating_as::<u32>();
            let over = Duration::from_micros(u64::try_from((over - begin).max(0))?);
            ways.push(Way { due, over, parts_us: [part(0), part(1), part(2), part(3)] });
        }
        ensure!(ways.len() == found.len(), "{} of {} jobs are there", ways.len(), found.len());
        Ok(Self(ways))
    }

    fn due_in(&self, span: Span) -> impl Iterator<Item = &Way> {
        self.0.iter().filter(move |way| span.contains(way.due))
    }

    /// End-to-end time of the jobs that were due in `span`, at a percentile.
    pub(super) fn percentile_ms(&self, span: Span, percent: usize) -> f64 {
        let mut times: Vec<_> = self.due_in(span).map(|way| way.over.saturating_sub(way.due)).collect();
        percentile_ms(&mut times, percent)
    }

    /// The 99th percentile of each window of a span, in order.
    pub(super) fn windows_p99_ms(&self, span: Span, window: Duration) -> Vec<f64> {
        let windows = (span.lasts.as_micros() / window.as_micros()).saturating_as::<usize>();
        let mut times = vec![Vec::new(); windows];
        for way in self.due_in(span) {
            let window = way.due.saturating_sub(span.from).as_micros() / window.as_micros();
            if let Some(times) = usize::try_from(window).ok().and_then(|window| times.get_mut(window)) {
                times.push(way.over.saturating_sub(way.due));
            }
        }
        times.iter_mut().map(|times| percentile_ms(times, 99)).collect()
    }

    /// Finishes a second in `span`.
    pub(super) fn rate(&self, span: Span) -> f64 {
        let over = self.0.iter().filter(|way| span.contains(way.over)).count();
        f64::from(over.saturating_as::<u32>()) / span.lasts.as_secs_f64()
    }

    /// Jobs that were due and not finished.
    pub(super) fn backlog(&self, at: Duration) -> f64 {
        let waiting = self.0.iter().filter(|way| way.due < at && way.over > at).count();
        f64::from(waiting.saturating_as::<u32>())
    }

    /// What each part of the way takes.
    pub(super) fn parts_ms(&self, span: Span) -> Value {
        let part = |n: usize| {
            let mut times: Vec<_> =
                self.due_in(span).map(|way| Duration::from_micros(way.parts_us[n].into())).collect();
            let [p50, p99] = [50, 99].map(|percent| rounded(percentile_ms(&mut times, percent)));
            (PARTS[n].to_owned(), json!({"p50": p50, "p99": p99}))
        };
        Value::Object((0..PARTS.len()).map(part).collect())
    }
}

/// A job's number, whether it was finished in one run, which transaction wrote the row last, and
/// when it was enqueued, claimed and finished.
type Row = (i64, bool, i64, i64, i64, i64);
