//! Rates by the generic cell rate algorithm: one timestamp a lane says all.
//!
//! Source: ITU-T Recommendation I.371, annex A (virtual scheduling). The theoretical arrival time (TAT) is when the next
//! start would be due if starts were evenly spaced. A start is allowed up to `(burst − 1)` intervals before that, and
//! moves it one interval on. So in any window no more start than `burst + window / interval`.

use chrono::{DateTime, TimeDelta, Utc};

use crate::lanes::limits::Rate;

/// A rate as its interval and burst, in whole microseconds, as the database's clock has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gcra {
    interval: i64,
    burst: i64,
}

impl Gcra {
    /// Rounds the interval up, so that a rate is never exceeded by rounding.
    pub fn new(rate: Rate) -> Self {
        let period = i64::try_from(rate.period_ms.saturating_mul(1000)).unwrap_or(i64::MAX);
        let starts = i64::from(rate.rate.max(1));
        // A burst whose tolerance does not fit into a century is none worth telling apart.
        let interval = (period / starts + i64::from(period % starts > 0)).max(1);
        let burst = i64::from(rate.burst.max(1)).min(CENTURY / interval).max(1);
        Self { interval, burst }
    }

    /// Microseconds between two evenly spaced starts.
    pub fn interval_us(self) -> i64 {
        self.interval
    }

    /// How many may start at `now`.
    pub fn allowed(self, tat: Option<DateTime<Utc>>, now: DateTime<Utc>) -> i64 {
        let ahead = tat.map_or(0, |tat| (tat - now).num_microseconds().unwrap_or(i64::MAX).max(0));
        let tolerance = (self.burst - 1) * self.interval;
        if ahead > tolerance { 0 } else { (tolerance - ahead) / self.interval + 1 }
    }

    /// When the next one may start, unless it may at once.
    pub fn next_start(self, tat: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let at = tat? - TimeDelta::microseconds((self.burst - 1) * self.interval);
        (at > now).then_some(at)
    }

    /// When a throttled lane is worth a look: up to [`LOOK`] after its next start, so that many lanes are looked at
    /// together, but never so late that the rate suffers.
    pub(crate) fn due(self, next_start: DateTime<Utc>) -> DateTime<Utc> {
        let at = next_start.timestamp_micros();
        let late = (LOOK - at.rem_euclid(LOOK)).min((self.burst - 1) * self.interval);
        next_start + TimeDelta::microseconds(late)
    }

    /// The TAT after `starts` at `now`; `claim.sql` computes the same.
    pub fn after(self, tat: Option<DateTime<Utc>>, now: DateTime<Utc>, starts: i64) -> DateTime<Utc> {
        tat.map_or(now, |tat| tat.max(now)) + TimeDelta::microseconds(self.interval * starts)
    }
}

/// Microseconds between looks at throttled lanes.
const LOOK: i64 = 5_000;

const CENTURY: i64 = 100 * 365 * 86_400 * 1_000_000;

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
    fn a_fresh_lane_starts_its_burst_and_then_at_the_rate() {
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
    fn a_look_at_a_throttled_lane_is_never_late_for_its_rate() {
        assert_eq!(gcra(20, 1000, 5).due(at(12_345)), at(15_000));
        assert_eq!(gcra(20, 1000, 1).due(at(12_345)), at(12_345));
        assert_eq!(gcra(1000, 1000, 2).due(at(12_345)), at(13_345));
    }

    #[test]
    fn rounding_never_exceeds_the_rate() {
        assert_eq!(gcra(3, 1000, 1).interval_us(), 333_334);
        assert_eq!(gcra(u32::MAX, 1, u32::MAX).allowed(None, at(0)), i64::from(u32::MAX));
        assert!(gcra(1, u64::MAX, u32::MAX).allowed(None, at(0)) >= 1);
    }

    proptest! {
        /// Greedy claims at any moments: in every window no more than burst + window / interval, and with a backlog and
        /// a look at every due time nothing is lost.
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
                    let most = i64::from(burst) + (to - from) / gcra.interval_us();
                    prop_assert!(i64::try_from(j - i + 1).unwrap() <= most);
                }
            }
        }

        #[test]
        fn the_next_start_is_the_first_moment_at_which_one_is_allowed(
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
