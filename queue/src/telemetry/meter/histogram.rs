//! Durations by size: as much of them as a percentile needs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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

/// Upper bounds of the buckets, in seconds: a millisecond to an hour. What took longer is in one more.
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

/// How many durations there were of each size, and their sum.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum_us: AtomicU64,
}

/// A histogram at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Durations up to each of [`BOUNDS`] and above the one before; the last: above all of them.
    pub buckets: [u64; BOUNDS.len() + 1],
    /// Seconds.
    pub sum: f64,
    /// All durations.
    pub count: u64,
}

impl Histogram {
    pub(crate) fn add(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|bound| *bound < us);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// What is in it now.
    pub fn read(&self) -> Reading {
        let buckets = std::array::from_fn(|index| self.buckets[index].load(Ordering::Relaxed));
        let sum = Duration::from_micros(self.sum_us.load(Ordering::Relaxed)).as_secs_f64();
        Reading { buckets, sum, count: buckets.iter().sum() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
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
