//! Rollups: how the runs of all workers ended and how long they took, by queue and kind, in buckets
//! of time.
//!
//! Every few seconds each worker adds what its [meter](crate::telemetry::meter) has counted since
//! the last time to rows that all workers share. The last seconds of a worker that is killed are
//! missing: rollups are for charts, while the counts of the lanes are exact.

use std::collections::HashMap;

use az::SaturatingAs;
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use crate::database::column::column;
use crate::error::Result;
use crate::telemetry::failures::{self, FailureSighting};
use crate::telemetry::histogram::Histogram;
use crate::telemetry::meter::{KindMeter, Meter};

/// How many runs ended in which way, and how long they took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs that completed their job.
    pub completed: u64,
    /// Runs that failed and are retried.
    pub retried: u64,
    /// Runs that failed for good.
    pub discarded: u64,
    /// Runs that were stopped by a cancel.
    pub cancelled: u64,
    /// Runs that snoozed.
    pub snoozed: u64,
    /// The time from when a job was due until it was claimed; jobs of backfills are left out.
    pub waits: Histogram,
    /// How long handlers ran.
    pub runs: Histogram,
}

impl From<&KindMeter> for Tally {
    fn from(meter: &KindMeter) -> Self {
        let mut tally =
            Self { waits: (&meter.start_latency).into(), runs: (&meter.run_time).into(), ..Self::default() };
        for (outcome, count) in meter.ended() {
            match outcome {
                "completed" => tally.completed = count,
                "retried" => tally.retried = count,
                "discarded" => tally.discarded = count,
                "cancelled" => tally.cancelled = count,
                "snoozed" => tally.snoozed = count,
                // A job that was handed back runs elsewhere and is counted there.
                _ => {}
            }
        }
        tally
    }
}

impl Tally {
    /// What was added since `before`.
    fn since(&self, before: &Self) -> Self {
        Self {
            completed: self.completed - before.completed,
            retried: self.retried - before.retried,
            discarded: self.discarded - before.discarded,
            cancelled: self.cancelled - before.cancelled,
            snoozed: self.snoozed - before.snoozed,
            waits: self.waits.since(&before.waits),
            runs: self.runs.since(&before.runs),
        }
    }
}

/// The tally of a kind, with its queue.
#[derive(Debug, Clone, Copy)]
struct KindTally {
    queue: &'static str,
    kind: &'static str,
    tally: Tally,
}

/// Writes what a worker's meter has counted since the last time.
#[derive(Debug)]
pub(crate) struct RollupWriter {
    meter: Meter,
    written: tokio::sync::Mutex<HashMap<&'static str, Tally>>,
}

impl RollupWriter {
    pub(crate) fn new(meter: Meter) -> Self {
        Self { meter, written: tokio::sync::Mutex::default() }
    }

    /// Returns how many kinds had something to write. What could not be written is written the next
    /// time.
    pub(crate) async fn run_once(&self, pool: &PgPool) -> Result<u64> {
        let mut written = self.written.lock().await;
        let totals: HashMap<&str, KindTally> = self
            .meter
            .kinds()
            .map(|(kind, queue, meter)| (kind, KindTally { queue, kind, tally: meter.into() }))
            .collect();
        let mut changes: Vec<KindTally> = totals
            .values()
            .map(|total| {
                let before = written.get(total.kind).copied().unwrap_or_default();
                KindTally { tally: total.tally.since(&before), ..*total }
            })
            .collect();
        changes.retain(|change| change.tally != Tally::default());
        let failures = self.meter.take_failures();
        if changes.is_empty() && failures.is_empty() {
            return Ok(0);
        }
        if let Err(error) = write(pool, &changes, &failures).await {
            self.meter.put_back(failures);
            return Err(error);
        }
        *written = totals.into_iter().map(|(kind, total)| (kind, total.tally)).collect();
        Ok(changes.len() as u64)
    }
}

async fn write(pool: &PgPool, changes: &[KindTally], failures: &[FailureSighting]) -> Result<()> {
    let mut tx = pool.begin().await?;
    add(&mut tx, changes).await?;
    failures::record(&mut tx, failures).await?;
    tx.commit().await?;
    Ok(())
}

async fn add(conn: &mut PgConnection, changes: &[KindTally]) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let counts = |of: fn(&Tally) -> u64| column(changes, |change| of(&change.tally).saturating_as::<i64>());
    sqlx::query!(
        "insert into queue.rollups as p (bucket_s, at, queue, kind, completed, retried, discarded, cancelled, snoozed, waits, runs)
         select s.bucket_s, date_bin(make_interval(secs => s.bucket_s), queue.now(), 'epoch'), n.queue, n.kind,
             n.completed, n.retried, n.discarded, n.cancelled, n.snoozed, n.waits::bigint[], n.runs::bigint[]
         from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[], $9::text[])
             as n (queue, kind, completed, retried, discarded, cancelled, snoozed, waits, runs)
         cross join (values (60), (900), (3600)) as s (bucket_s)
         -- In one order, so that two workers do not deadlock.
         order by 1, 2, 3, 4
         on conflict (bucket_s, at, queue, kind) do update
         set completed = p.completed + excluded.completed, retried = p.retried + excluded.retried,
             discarded = p.discarded + excluded.discarded, cancelled = p.cancelled + excluded.cancelled,
             snoozed = p.snoozed + excluded.snoozed, waits = queue.add_each(p.waits, excluded.waits),
             runs = queue.add_each(p.runs, excluded.runs)",
        &column(changes, |change| change.queue.to_owned()),
        &column(changes, |change| change.kind.to_owned()),
        &counts(|tally| tally.completed),
        &counts(|tally| tally.retried),
        &counts(|tally| tally.discarded),
        &counts(|tally| tally.cancelled),
        &counts(|tally| tally.snoozed),
        &column(changes, |change| change.tally.waits.as_array()),
        &column(changes, |change| change.tally.runs.as_array())
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How long the buckets of a rollup are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketSize {
    /// Kept a bit longer than the chart of an hour needs.
    Minute,
    /// Kept for a bit more than a day.
    QuarterHour,
    /// Kept for more than a week.
    Hour,
}

impl BucketSize {
    /// The length in seconds.
    pub const fn seconds(self) -> u32 {
        match self {
            Self::Minute => 60,
            Self::QuarterHour => 900,
            Self::Hour => 3600,
        }
    }
}

/// What ran in one bucket of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RollupBucket {
    /// When the bucket begins.
    pub at: DateTime<Utc>,
    /// What ran in it.
    pub tally: Tally,
}

/// The last `count` buckets of all workers, oldest first, of one queue or of all. Buckets in which
/// nothing ran are included, and the last one has not ended yet.
pub async fn buckets(
    conn: &mut PgConnection,
    queue: Option<&str>,
    size: BucketSize,
    count: u16,
) -> Result<Vec<RollupBucket>> {
    let rows = sqlx::query!(
        r#"with stretch as materialized (
               select date_bin(make_interval(secs => $1), queue.now(), 'epoch') - make_interval(secs => $1 * back) as at
               from generate_series(0, $2::integer - 1) as back
           )
           select s.at as "at!", p.completed as "completed?", p.retried as "retried?", p.discarded as "discarded?",
               p.cancelled as "cancelled?", p.snoozed as "snoozed?", p.waits as "waits?", p.runs as "runs?"
           from stretch s
           left join lateral (
               select * from queue.rollups p
               where p.bucket_s = $1::integer and p.at = s.at and ($3::text is null or p.queue = $3)
               offset 0
           ) p on true
           order by s.at"#,
        f64::from(size.seconds()),
        i32::from(count),
        queue
    )
    .fetch_all(conn)
    .await?;
    let mut buckets: Vec<RollupBucket> = Vec::with_capacity(count.into());
    for row in rows {
        if buckets.last().is_none_or(|last| last.at != row.at) {
            buckets.push(RollupBucket { at: row.at, tally: Tally::default() });
        }
        let tally = &mut buckets.last_mut().expect("pushed").tally;
        let count = |count: Option<i64>| count.unwrap_or_default().unsigned_abs();
        tally.completed += count(row.completed);
        tally.retried += count(row.retried);
        tally.discarded += count(row.discarded);
        tally.cancelled += count(row.cancelled);
        tally.snoozed += count(row.snoozed);
        tally.waits.add_counts(&row.waits.unwrap_or_default());
        tally.runs.add_counts(&row.runs.unwrap_or_default());
    }
    Ok(buckets)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::histogram::AtomicHistogram;

    #[test]
    fn tally_since_itself_is_empty() {
        let waits = AtomicHistogram::default();
        waits.add(Duration::from_millis(30));
        let tally = Tally { completed: 3, waits: (&waits).into(), ..Tally::default() };
        assert_eq!(tally.since(&tally), Tally::default());
    }
}
