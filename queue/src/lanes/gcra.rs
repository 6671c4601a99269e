//! Rates by the generic cell rate algorithm (GCRA), which keeps one timestamp per lane.
//!
//! Source: ITU-T Recommendation I.371, annex A (virtual scheduling). The theoretical arrival time
//! (TAT) is when the next start would be due if starts were evenly spaced. A start is allowed up to
//! `(burst − 1)` intervals before the TAT, and moves the TAT one interval on. So no window has more
//! starts than `burst + window / interval`.

use az::SaturatingAs;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Starts per period, and how many of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Starts per period in the long run, at least 1.
    pub rate: u32,
    /// The period, in milliseconds.
    pub period_ms: u64,
    /// Starts at once after a pause, at least 1.
    pub burst: u32,
}

/// A rate as the algorithm needs it, in the microseconds that the database's clock has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gcra {
    /// Microseconds between two evenly spaced starts: the increment `T` of the recommendation.
    interval_us: i64,
    /// Starts at once after a pause. The limit `τ` of the recommendation is `(burst − 1)`
    /// intervals.
    burst: i64,
}

impl Gcra {
    /// The algorithm for `rate`. The interval is rounded up, so that rounding never exceeds the
    /// rate.
    pub fn new(rate: Rate) -> Self {
        let period = rate.period_ms.saturating_mul(1000).saturating_as::<i64>();
        let starts = i64::from(rate.rate.max(1));
        // A burst that would take a century to use up is as good as any larger one, and does not
        // overflow.
        let interval_us = (period / starts + i64::from(period % starts > 0)).max(1);
        let burst = i64::from(rate.burst.max(1)).min(CENTURY_US / interval_us).max(1);
        Self { interval_us, burst }
    }

    /// Microseconds between two evenly spaced starts.
    pub fn interval_us(self) -> i64 {
        self.interval_us
    }

    /// How many jobs may start at `now`, for a lane whose theoretical arrival time is `tat`.
    pub fn allowed(self, tat: Option<DateTime<Utc>>, now: DateTime<Utc>) -> i64 {
        let ahead = tat.map_or(0, |tat| (tat - now).num_microseconds().unwrap_or(i64::MAX).max(0));
        let tolerance = (self.burst - 1) * self.interval_us;
        if ahead > tolerance { 0 } else { (tolerance - ahead) / self.interval_us + 1 }
    }

    /// When the next job may start; none if one may start at `now`.
    pub fn next_start(self, tat: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let at = tat? - TimeDelta::microseconds((self.burst - 1) * self.interval_us);
        (at > now).then_some(at)
    }

    /// When a throttled lane is polled for its next start: up to [`POLL_GRID_US`] after it, so that
    /// many lanes are polled together, but never so late that the lane falls short of its rate.
    pub(crate) fn due(self, next_start: DateTime<Utc>) -> DateTime<Utc> {
        let at = next_start.timestamp_micros();
        let late = (POLL_GRID_US - at.rem_euclid(POLL_GRID_US)).min((self.burst - 1) * self.interval_us);
        next_start + TimeDelta::microseconds(late)
    }

    /// The theoretical arrival time after `starts` at `now`; `claim.sql` computes the same.
    pub fn after(self, tat: Option<DateTime<Utc>>, now: DateTime<Utc>, starts: i64) -> DateTime<Utc> {
        tat.map_or(now, |tat| tat.max(now)) + TimeDelta::microseconds(self.interval_us * starts)
    }
}

/// Throttled lanes are polled at multiples of so many microseconds.
const POLL_GRID_US: i64 = 5_000;

/// A century in microseconds.
const CENTURY_US: i64 = 100 * 365 * 86_400 * 1_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gcra(rate: u32, period_ms: u64, burst: u32) -> Gcra {
        Gcra::new(Rate { rate, period_ms, burst })
    }

    fn at(us: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(1_700_000_000_000_000 + us).unwrap()
    }

    #[test]
    fn new_lane_starts_its_burst_and_then_at_its_rate() {
        let gcra = gcra(20, 1000, 5);
        assert_eq!(gcra.allowed(None, at(0)), 5);
        let tat = Some(gcra.after(None, at(0), 5));
        assert_eq!(gcra.allowed(tat, at(0)), 0);
        assert_eq!(gcra.next_start(tat, at(0)), Some(at(50_000)));
        assert_eq!(gcra.allowed(tat, at(49_999)), 0);
        assert_eq!(gcra.allowed(tat, at(50_000)), 1);
        assert_eq!(gcra.allowed(tat, at(250_000)), 5);
        assert_eq!(gcra.allowed(tat, at(10_000_000)), 5);
    }

    #[test]
    fn throttled_lane_is_polled_in_time_for_its_rate() {
        assert_eq!(gcra(20, 1000, 5).due(at(12_345)), at(15_000));
        assert_eq!(gcra(20, 1000, 1).due(at(12_345)), at(12_345));
        assert_eq!(gcra(1000, 1000, 2).due(at(12_345)), at(13_345));
    }

    #[test]
    fn rounded_interval_never_exceeds_the_rate() {
        assert_eq!(gcra(3, 1000, 1).interval_us(), 333_334);
        assert_eq!(gcra(u32::MAX, 1, u32::MAX).allowed(None, at(0)), i64::from(u32::MAX));
        assert!(gcra(1, u64::MAX, u32::MAX).allowed(None, at(0)) >= 1);
    }

    proptest! {
        /// Claims at any moments take as much as they may: no window holds more than burst + window
        /// / interval.
        #[test]
        fn no_window_holds_more_than_the_burst_and_the_rate(
            rate in 1_u32..50, period_ms in 1_u64..2000, burst in 1_u32..20,
            pauses in prop::collection::vec(0_i64..500_000, 1..80),
        ) {
            let gcra = gcra(rate, period_ms, burst);
            let (mut now, mut tat, mut starts) = (0, None, Vec::new());
            for pause in pauses {
                now += pause;
                let allowed = gcra.allowed(tat, at(now));
                if allowed > 0 {
                    tat = Some(gcra.after(tat, at(now), allowed));
                    starts.extend(std::iter::repeat_n(now, usize::try_from(allowed).unwrap()));
                }
                prop_assert_eq!(gcra.allowed(tat, at(now)), 0);
            }
            for (i, from) in starts.iter().enumerate() {
                for (j, to) in starts.iter().enumerate().skip(i) {
                    let max = i64::from(burst) + (to - from) / gcra.interval_us();
                    prop_assert!(i64::try_from(j - i + 1).unwrap() <= max);
                }
            }
        }

        #[test]
        fn next_start_is_the_first_moment_at_which_one_is_allowed(
            rate in 1_u32..50, period_ms in 1_u64..2000, burst in 1_u32..20, ahead in 0_i64..5_000_000,
        ) {
            let gcra = gcra(rate, period_ms, burst);
            let tat = Some(at(ahead));
            match gcra.next_start(tat, at(0)) {
                None => prop_assert!(gcra.allowed(tat, at(0)) > 0),
                Some(next) => {
                    prop_assert_eq!(gcra.allowed(tat, at(0)), 0);
                    prop_assert_eq!(gcra.allowed(tat, next - TimeDelta::microseconds(1)), 0);
                    prop_assert!(gcra.allowed(tat, next) > 0);
                }
            }
        }
    }
}
