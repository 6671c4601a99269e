//! Histograms of durations, with enough buckets for percentiles of job times.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use az::SaturatingAs;

/// Upper bounds of the buckets, in microseconds.
const BOUNDS_US: [u64; 17] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
    900_000_000,
    3_600_000_000,
];

/// Upper bounds of the buckets, in seconds, from a millisecond to an hour. One more bucket holds
/// what took longer.
pub const BOUNDS: [f64; BOUNDS_US.len()] = {
    let mut bounds = [0.0; BOUNDS_US.len()];
    let mut index = 0;
    while index < bounds.len() {
        #[expect(clippy::cast_precision_loss, reason = "an hour at most")]
        let us = BOUNDS_US[index] as f64;
        bounds[index] = us / 1e6;
        index += 1;
    }
    bounds
};

/// The number of buckets: one for each of [`BOUNDS`], and one for what took longer.
const BUCKETS: usize = BOUNDS.len() + 1;

/// A histogram that several tasks add to at once.
#[derive(Debug, Default)]
pub struct AtomicHistogram {
    buckets: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

/// What an [`AtomicHistogram`] held at one moment, as a metric shows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// The durations in each bucket: up to its bound and above the one before. The last bucket
    /// holds those above all bounds.
    pub buckets: [u64; BUCKETS],
    /// The sum of all durations, in seconds.
    pub sum: f64,
    /// The number of all durations.
    pub count: u64,
}

impl AtomicHistogram {
    pub(crate) fn add(&self, duration: Duration) {
        let us = duration.as_micros().saturating_as::<u64>();
        let bucket = BOUNDS_US.partition_point(|bound| *bound < us);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// What it holds now.
    pub fn read(&self) -> Reading {
        let buckets = std::array::from_fn(|index| self.buckets[index].load(Ordering::Relaxed));
        let sum = Duration::from_micros(self.sum_us.load(Ordering::Relaxed)).as_secs_f64();
        Reading { buckets, sum, count: buckets.iter().sum() }
    }
}

/// A histogram as plain counts: the durations in each bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Histogram(pub [u64; BUCKETS]);

impl From<&AtomicHistogram> for Histogram {
    fn from(histogram: &AtomicHistogram) -> Self {
        Self(histogram.read().buckets)
    }
}

impl Histogram {
    /// What was added since `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self(std::array::from_fn(|bucket| self.0[bucket] - before.0[bucket]))
    }

    /// Adds counts by bucket, as they are stored in an array of the database.
    pub(crate) fn add_counts(&mut self, counts: &[i64]) {
        for (bucket, more) in self.0.iter_mut().zip(counts) {
            *bucket += more.unsigned_abs();
        }
    }

    /// The counts as the text of a Postgres array.
    pub(crate) fn as_array(&self) -> String {
        format!("{{{}}}", self.0.map(|count| count.to_string()).join(","))
    }

    /// The number of all durations.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The quantile `share` (0 to 1) in seconds: that share of all durations is no longer.
    /// Durations are taken to lie evenly within their bucket; those of the last bucket, which has
    /// no end, count as its beginning. None where there are no durations.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let all = self.count();
        if all == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of runs")]
        let wanted = share * all as f64;
        let mut before = 0.0;
        for (bucket, count) in self.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            #[expect(clippy::cast_precision_loss, reason = "counts of runs")]
            let count = *count as f64;
            if before + count >= wanted {
                let from = bucket.checked_sub(1).map_or(0.0, |before| BOUNDS[before]);
                let to = BOUNDS.get(bucket).copied().unwrap_or(from);
                return Some(from + (to - from) * ((wanted - before) / count).clamp(0.0, 1.0));
            }
            before += count;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_ms(ms: impl IntoIterator<Item = u64>) -> Histogram {
        let histogram = AtomicHistogram::default();
        ms.into_iter().for_each(|ms| histogram.add(Duration::from_millis(ms)));
        (&histogram).into()
    }

    #[test]
    fn quantile_lies_within_its_bucket() {
        assert_eq!(of_ms([]).quantile(0.5), None);
        let all = of_ms(1..=100);
        assert_eq!(all.count(), 100);
        for (share, from, to) in [(0.01, 0.0, 0.001), (0.5, 0.025, 0.05), (0.95, 0.05, 0.1), (1.0, 0.1, 0.1)]
        {
            let found = all.quantile(share).unwrap();
            assert!((from..=to).contains(&found), "{share}: {found}");
        }
    }

    #[test]
    fn quantile_in_the_last_bucket_is_its_beginning() {
        assert_eq!(of_ms([5 * 3_600_000]).quantile(0.5), Some(3600.0));
    }

    #[test]
    fn since_is_the_difference() {
        let (before, now) = (of_ms([1, 30]), of_ms([1, 30, 30]));
        assert_eq!(now.since(&before), of_ms([30]));
    }

    #[test]
    fn duration_is_in_the_first_bucket_that_holds_it() {
        let histogram = AtomicHistogram::default();
        for us in [0, 1_000, 1_001, 60_000_000, 3_600_000_001] {
            histogram.add(Duration::from_micros(us));
        }
        let read = histogram.read();
        let filled: Vec<usize> = (0..read.buckets.len()).filter(|index| read.buckets[*index] > 0).collect();
        assert_eq!(filled, [0, 1, 13, 17]);
        assert_eq!((read.buckets[0], read.count), (2, 5));
        assert!((read.sum - 3_660.002_002).abs() < 1e-9, "{}", read.sum);
    }
}
