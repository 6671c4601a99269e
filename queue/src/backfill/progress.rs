//! How far a backfill is, from the views of its queues, without counting rows.

use az::SaturatingAs;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{Acquire, PgConnection, Postgres, Transaction};
use std::collections::HashMap;
use uuid::Uuid;

use super::settings::BackfillSettings;
use super::state::BackfillState;
use crate::database::history;
use crate::error::Result;
use crate::job::state::{JobState, StateCounts};
use crate::lanes::QueueView;

/// How many slices were done at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) at: DateTime<Utc>,
    pub(crate) done: u64,
}

impl Sample {
    /// How long a sample is kept: the rate is the average over this time.
    pub(crate) const RETENTION: TimeDelta = TimeDelta::minutes(3);
    /// The time between two samples.
    pub(crate) const INTERVAL: TimeDelta = TimeDelta::seconds(5);
}

/// A backfill as it is now.
#[derive(Debug, Clone)]
pub struct Backfill {
    /// Its id, a UUID of version 7.
    pub id: Uuid,
    /// Names what its slices are.
    pub kind: String,
    /// What was requested.
    pub spec: Value,
    /// Its state.
    pub state: BackfillState,
    /// How much of the fleet it may take.
    pub settings: BackfillSettings,
    /// The priority of its jobs.
    pub priority: i16,
    /// Number of slices.
    pub total: u64,
    /// Slices that were examined so far: they became jobs or were skipped.
    pub expanded: u64,
    /// Slices that became no job: there was nothing to do, or they were in flight already.
    pub skipped: u64,
    /// Slices that are done: they were skipped, or their jobs are final.
    pub done: u64,
    /// Jobs that were made; a slice may have several.
    pub jobs: u64,
    /// Its jobs by state.
    pub counts: StateCounts,
    /// Slices done a second over the last three minutes; `None` while there is too little to tell,
    /// and of a final one.
    pub rate: Option<f64>,
    /// When it will be done at this rate; `None` while it does not progress.
    pub estimated_finish: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was cancelled.
    pub cancelled_at: Option<DateTime<Utc>>,
    /// When its last job became final.
    pub finished_at: Option<DateTime<Utc>>,
    /// The database's time when this was read.
    pub observed_at: DateTime<Utc>,
}

impl Backfill {
    /// The part of its slices that is done, 0 to 1.
    pub fn fraction(&self) -> f64 {
        if self.total == 0 { 1.0 } else { to_f64(self.done) / to_f64(self.total) }
    }
}

pub(crate) fn state(paused: bool, cancelled: bool, finished: bool, counts: &StateCounts) -> BackfillState {
    match (cancelled, finished) {
        (true, true) => BackfillState::Cancelled,
        (true, false) => BackfillState::Cancelling,
        (false, true) if counts.of(JobState::Discarded) + counts.of(JobState::Cancelled) > 0 => {
            BackfillState::CompletedWithFailures
        }
        (false, true) => BackfillState::Completed,
        (false, false) if paused => BackfillState::Paused,
        (false, false) => BackfillState::Running,
    }
}

/// How many slices are done. Slices of several jobs count by the part of their jobs that is final.
pub(crate) fn done_slices(expanded: u64, skipped: u64, jobs: u64, live: u64) -> u64 {
    let (made, ended) = (u128::from(expanded - skipped), u128::from(jobs.saturating_sub(live)));
    let part = (made * ended).checked_div(u128::from(jobs)).unwrap_or(0);
    skipped + part.saturating_as::<u64>()
}

struct Row {
    id: Uuid,
    kind: Option<String>,
    spec: Value,
    queues: Vec<String>,
    paused: bool,
    share: f64,
    max_running: Option<i32>,
    priority: i16,
    total: i64,
    next_slice: i64,
    put_off: i64,
    skipped: i64,
    jobs: i64,
    counts: Option<Json<StateCounts>>,
    samples: Json<Vec<Sample>>,
    created_at: DateTime<Utc>,
    cancelled_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    observed_at: DateTime<Utc>,
}

macro_rules! rows {
    ($tail:literal, $($args:expr),*) => {
        sqlx::query_as!(
            Row,
            r#"select id, kind, spec, queues, paused, share::text::float8 as "share!", max_running, priority, total, next_slice, put_off, skipped, jobs,
                counts as "counts: Json<StateCounts>", samples as "samples!: Json<Vec<Sample>>", created_at,
                cancelled_at, finished_at, clock_timestamp() + (queue.now() - now()) as "observed_at!"
            from queue.backfills "# + $tail,
            $($args),*
        )
    };
}

/// Begins a transaction in which rows and queue views are read from one snapshot.
async fn snapshot(conn: &mut PgConnection) -> Result<Transaction<'_, Postgres>> {
    history::compare_on(conn).await?;
    let mut tx = conn.begin().await?;
    sqlx::query!("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
    Ok(tx)
}

/// A backfill as it is now. The connection must not be in a transaction.
pub async fn get(conn: &mut PgConnection, id: Uuid) -> Result<Option<Backfill>> {
    let mut tx = snapshot(conn).await?;
    let rows = rows!("where id = $1 and kind is not null", id).fetch_all(&mut *tx).await?;
    let backfill = with_counts(&mut tx, rows).await?.pop();
    tx.commit().await?;
    Ok(backfill)
}

/// Up to `limit` backfills that are older than `before`, newest first. The connection must not be
/// in a transaction.
pub async fn list(conn: &mut PgConnection, before: Option<Uuid>, limit: i64) -> Result<Vec<Backfill>> {
    let mut tx = snapshot(conn).await?;
    let rows = rows!(
        "where kind is not null and ($1::uuid is null or id < $1) order by id desc limit $2",
        before,
        limit
    )
    .fetch_all(&mut *tx)
    .await?;
    let backfills = with_counts(&mut tx, rows).await?;
    tx.commit().await?;
    Ok(backfills)
}

/// Up to `limit` backfills that have not ended, oldest first. The connection must not be in a
/// transaction.
pub async fn unfinished(conn: &mut PgConnection, limit: i64) -> Result<Vec<Backfill>> {
    let mut tx = snapshot(conn).await?;
    let rows = rows!("where kind is not null and finished_at is null order by id limit $1", limit)
        .fetch_all(&mut *tx)
        .await?;
    let backfills = with_counts(&mut tx, rows).await?;
    tx.commit().await?;
    Ok(backfills)
}

async fn with_counts(conn: &mut PgConnection, rows: Vec<Row>) -> Result<Vec<Backfill>> {
    let mut views: HashMap<String, QueueView> = HashMap::new();
    let mut backfills = Vec::with_capacity(rows.len());
    for row in rows {
        let mut counts = StateCounts::default();
        for queue in &row.queues {
            if !views.contains_key(queue) {
                views.insert(queue.clone(), QueueView::open(conn, queue).await?);
            }
            counts.add(&views[queue].backfill(row.id));
        }
        backfills.push(row.into_backfill(counts));
    }
    Ok(backfills)
}

impl Row {
    fn into_backfill(self, counted: StateCounts) -> Backfill {
        let unsigned = |number: i64| number.unsigned_abs();
        let (expanded, skipped, jobs) =
            (unsigned(self.next_slice - self.put_off), unsigned(self.skipped), unsigned(self.jobs));
        // Jobs that ended long ago may be deleted. Then the counts that were saved at the end hold.
        let saved = self.counts.map(|json| json.0);
        let counts = saved.filter(|_| counted.total() < self.jobs).unwrap_or(counted);
        let finished = self.finished_at.is_some();
        let done = done_slices(expanded, skipped, jobs, counted.live().unsigned_abs());
        let total = unsigned(self.total);
        let rate = if finished { None } else { rate(&self.samples.0, self.observed_at, done) };
        let state = state(self.paused, self.cancelled_at.is_some(), finished, &saved.unwrap_or_default());
        let estimate = rate
            .filter(|rate| *rate > 0.0 && state == BackfillState::Running)
            .and_then(|rate| TimeDelta::try_milliseconds(milliseconds(to_f64(total - done) / rate)));
        Backfill {
            id: self.id,
            kind: self.kind.unwrap_or_default(),
            spec: self.spec,
            state,
            settings: BackfillSettings {
                share: self.share,
                max_running: self.max_running.map(i32::unsigned_abs),
            },
            priority: self.priority,
            total,
            expanded,
            skipped,
            done,
            jobs,
            counts,
            rate,
            estimated_finish: estimate.and_then(|time| self.observed_at.checked_add_signed(time)),
            created_at: self.created_at,
            cancelled_at: self.cancelled_at,
            finished_at: self.finished_at,
            observed_at: self.observed_at,
        }
    }
}

/// Slices done a second since the oldest sample that is kept; `None` where that was less than a
/// second ago.
fn rate(samples: &[Sample], now: DateTime<Utc>, done: u64) -> Option<f64> {
    let oldest = samples.iter().find(|sample| sample.at > now - Sample::RETENTION)?;
    let seconds = (now - oldest.at).as_seconds_f64();
    (seconds >= 1.0).then(|| to_f64(done.saturating_sub(oldest.done)) / seconds)
}

fn milliseconds(seconds: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "clamped to a thousand years")]
    let milliseconds = (seconds * 1000.0).clamp(0.0, 3.2e13) as i64;
    milliseconds
}

#[expect(clippy::cast_precision_loss, reason = "numbers of slices are far below 2^52")]
fn to_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slice_of_several_jobs_is_done_when_its_last_job_is() {
        assert_eq!(done_slices(0, 0, 0, 0), 0);
        assert_eq!(done_slices(10, 10, 0, 0), 10, "skipped slices are done");
        assert_eq!(done_slices(10, 4, 6, 6), 4);
        assert_eq!(done_slices(10, 4, 36, 7), 8, "29 of 36 jobs are not yet 5 of 6 slices");
        assert_eq!(done_slices(10, 4, 36, 0), 10);
        assert_eq!(done_slices(10_000_000, 0, 60_000_000, 6), 9_999_999);
    }

    #[test]
    fn rate_is_the_average_over_the_samples_that_are_kept() {
        let now = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::hours(1);
        let sample = |seconds, done| Sample { at: now - TimeDelta::seconds(seconds), done };
        assert_eq!(rate(&[], now, 5), None);
        assert_eq!(rate(&[sample(1000, 0), sample(100, 50), sample(5, 200)], now, 250), Some(2.0));
        assert_eq!(rate(&[sample(0, 5)], now, 5), None, "too short to tell");
    }
}
