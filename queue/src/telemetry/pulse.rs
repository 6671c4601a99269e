//! The pulse of the workers: what their runs came to and how long they took, by queue and kind, over time.
//!
//! Each worker adds what its [meter](crate::telemetry::meter) has counted since the last time, every few seconds, to rows that all of them share.
//! One that is killed takes the last seconds along: the books of the lanes are exact, this is for charts.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use crate::error::Result;
use crate::telemetry::failures::{self, Seen};
use crate::telemetry::meter::{BOUNDS, Histogram, KindMeter, Meter};

/// Steps of a [`Spread`]: one for each of [`BOUNDS`], and what took longer.
const STEPS: usize = BOUNDS.len() + 1;

/// How many runs took how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spread(pub [u64; STEPS]);

impl From<&Histogram> for Spread {
    fn from(histogram: &Histogram) -> Self {
        Self(histogram.read().buckets)
    }
}

impl Spread {
    fn since(&self, before: &Self) -> Self {
        Self(std::array::from_fn(|step| self.0[step] - before.0[step]))
    }

    fn add_steps(&mut self, steps: &[i64]) {
        for (step, more) in self.0.iter_mut().zip(steps) {
            *step += more.unsigned_abs();
        }
    }

    /// As Postgres reads it.
    fn as_array(&self) -> String {
        format!("{{{}}}", self.0.map(|count| count.to_string()).join(","))
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Seconds that the `share` (0 to 1) of all did not exceed, taken evenly within a step; none where there are none, and the
    /// beginning of the last step for what has no end.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let all = self.count();
        if all == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of runs")]
        let wanted = share * all as f64;
        let mut before = 0.0;
        for (step, count) in self.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            #[expect(clippy::cast_precision_loss, reason = "counts of runs")]
            let count = *count as f64;
            if before + count >= wanted {
                let from = step.checked_sub(1).map_or(0.0, |before| BOUNDS[before]);
                let to = BOUNDS.get(step).copied().unwrap_or(from);
                return Some(from + (to - from) * ((wanted - before) / count).clamp(0.0, 1.0));
            }
            before += count;
        }
        None
    }
}

/// What the runs of a kind came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs that completed their job.
    pub completed: u64,
    /// Runs that failed and are tried again.
    pub retried: u64,
    /// Runs that failed for good.
    pub discarded: u64,
    /// Runs that were stopped by a cancel.
    pub cancelled: u64,
    /// Runs that put themselves off.
    pub snoozed: u64,
    /// From when a job was due until it was claimed, but for those of backfills.
    pub waits: Spread,
    /// How long handlers ran.
    pub runs: Spread,
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
                // What is handed back runs elsewhere.
                _ => {}
            }
        }
        tally
    }
}

impl Tally {
    /// What came since `before`.
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
struct Line {
    queue: &'static str,
    kind: &'static str,
    tally: Tally,
}

/// Writes what a worker's meter has counted, each time what came since the last.
#[derive(Debug)]
pub(crate) struct Writer {
    meter: Meter,
    written: tokio::sync::Mutex<HashMap<&'static str, Tally>>,
}

impl Writer {
    pub(crate) fn new(meter: Meter) -> Self {
        Self { meter, written: tokio::sync::Mutex::default() }
    }

    /// Returns how many kinds had something to tell. What could not be written is written the next time.
    pub(crate) async fn run_once(&self, pool: &PgPool) -> Result<u64> {
        let mut written = self.written.lock().await;
        let totals: HashMap<&str, Line> = self
            .meter
            .kinds()
            .map(|(kind, queue, meter)| (kind, Line { queue, kind, tally: meter.into() }))
            .collect();
        let mut news: Vec<Line> = totals
            .values()
            .map(|line| {
                let before = written.get(line.kind).copied().unwrap_or_default();
                Line { tally: line.tally.since(&before), ..*line }
            })
            .collect();
        news.retain(|line| line.tally != Tally::default());
        let failed = self.meter.take_failures();
        if news.is_empty() && failed.is_empty() {
            return Ok(0);
        }
        if let Err(error) = write(pool, &news, &failed).await {
            self.meter.put_back(failed);
            return Err(error);
        }
        *written = totals.into_iter().map(|(kind, line)| (kind, line.tally)).collect();
        Ok(news.len() as u64)
    }
}

async fn write(pool: &PgPool, news: &[Line], failed: &[Seen]) -> Result<()> {
    let mut tx = pool.begin().await?;
    add(&mut tx, news).await?;
    failures::see(&mut tx, failed).await?;
    tx.commit().await?;
    Ok(())
}

async fn add(conn: &mut PgConnection, news: &[Line]) -> Result<()> {
    if news.is_empty() {
        return Ok(());
    }
    let column = |of: fn(&Tally) -> u64| -> Vec<i64> {
        news.iter().map(|line| i64::try_from(of(&line.tally)).unwrap_or(i64::MAX)).collect()
    };
    sqlx::query!(
        "insert into queue.rollups as p (bucket_s, at, queue, kind, completed, retried, discarded, cancelled, snoozed, waits, runs)
         select s.bucket_s, date_bin(make_interval(secs => s.bucket_s), queue.now(), 'epoch'), n.queue, n.kind,
             n.completed, n.retried, n.discarded, n.cancelled, n.snoozed, n.waits::bigint[], n.runs::bigint[]
         from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[], $9::text[])
             as n (queue, kind, completed, retried, discarded, cancelled, snoozed, waits, runs)
         cross join (values (60), (900), (3600)) as s (bucket_s)
         -- In one order, so that two workers do not wait for each other in a circle.
         order by 1, 2, 3, 4
         on conflict (bucket_s, at, queue, kind) do update
         set completed = p.completed + excluded.completed, retried = p.retried + excluded.retried,
             discarded = p.discarded + excluded.discarded, cancelled = p.cancelled + excluded.cancelled,
             snoozed = p.snoozed + excluded.snoozed, waits = queue.add_each(p.waits, excluded.waits),
             runs = queue.add_each(p.runs, excluded.runs)",
        &news.iter().map(|line| line.queue.to_owned()).collect::<Vec<_>>(),
        &news.iter().map(|line| line.kind.to_owned()).collect::<Vec<_>>(),
        &column(|tally| tally.completed),
        &column(|tally| tally.retried),
        &column(|tally| tally.discarded),
        &column(|tally| tally.cancelled),
        &column(|tally| tally.snoozed),
        &news.iter().map(|line| line.tally.waits.as_array()).collect::<Vec<_>>(),
        &news.iter().map(|line| line.tally.runs.as_array()).collect::<Vec<_>>()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How long stretches of a pulse are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// Kept for a bit more than an hour's chart needs.
    Minute,
    /// Kept for a bit more than a day.
    Quarter,
    /// Kept for more than a week.
    Hour,
}

impl Every {
    /// In seconds.
    pub const fn seconds(self) -> u32 {
        match self {
            Self::Minute => 60,
            Self::Quarter => 900,
            Self::Hour => 3600,
        }
    }
}

/// What ran in one stretch of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beat {
    /// When the stretch begins.
    pub at: DateTime<Utc>,
    /// What ran in it.
    pub tally: Tally,
}

/// The last `count` stretches of every worker, oldest first, those in which nothing ran included; of one queue or of all. The last one
/// is still going on.
pub async fn beats(
    conn: &mut PgConnection,
    queue: Option<&str>,
    every: Every,
    count: u16,
) -> Result<Vec<Beat>> {
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
        f64::from(every.seconds()),
        i32::from(count),
        queue
    )
    .fetch_all(conn)
    .await?;
    let mut beats: Vec<Beat> = Vec::with_capacity(count.into());
    for row in rows {
        if beats.last().is_none_or(|last| last.at != row.at) {
            beats.push(Beat { at: row.at, tally: Tally::default() });
        }
        let tally = &mut beats.last_mut().expect("pushed").tally;
        let count = |count: Option<i64>| count.unwrap_or_default().unsigned_abs();
        tally.completed += count(row.completed);
        tally.retried += count(row.retried);
        tally.discarded += count(row.discarded);
        tally.cancelled += count(row.cancelled);
        tally.snoozed += count(row.snoozed);
        tally.waits.add_steps(&row.waits.unwrap_or_default());
        tally.runs.add_steps(&row.runs.unwrap_or_default());
    }
    Ok(beats)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn spread(ms: impl IntoIterator<Item = u64>) -> Spread {
        let histogram = Histogram::default();
        ms.into_iter().for_each(|ms| histogram.add(Duration::from_millis(ms)));
        (&histogram).into()
    }

    #[test]
    fn quantiles_lie_within_their_steps() {
        assert_eq!(spread([]).quantile(0.5), None);
        let all = spread(1..=100);
        assert_eq!(all.count(), 100);
        for (share, from, to) in [(0.01, 0.0, 0.001), (0.5, 0.025, 0.05), (0.95, 0.05, 0.1), (1.0, 0.1, 0.1)]
        {
            let found = all.quantile(share).unwrap();
            assert!((from..=to).contains(&found), "{share}: {found}");
        }
    }

    #[test]
    fn what_has_no_end_counts_as_the_beginning_of_its_step() {
        assert_eq!(spread([5 * 3_600_000]).quantile(0.5), Some(3600.0));
    }

    #[test]
    fn what_came_since_is_the_difference() {
        let (before, now) = (spread([1, 30]), spread([1, 30, 30]));
        assert_eq!(now.since(&before), spread([30]));
        let tally = Tally { completed: 3, waits: now, ..Tally::default() };
        assert_eq!(tally.since(&tally), Tally::default());
    }
}
