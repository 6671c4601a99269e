//! Limits as people give them, and what is wrong with them.

use std::fmt::Display;
use std::ops::RangeInclusive;

use crate::lanes::limits::{LaneLimits, QueueLimits, Rate};

/// Most starts, jobs at once and burst that can be set.
pub const MOST: i64 = 1_000_000;
/// Shortest and longest period, in seconds.
pub const PERIOD_S: RangeInclusive<f64> = 0.001..=31_536_000.0;
/// Least and greatest weight. Next to a weight far below, virtual time would lose its precision.
pub const WEIGHT: RangeInclusive<f64> = 0.001..=1_000.0;
/// Most starts a second: the clock has microseconds, and a shorter interval would be rounded by more than 5 %.
const MOST_PER_S: f64 = 50_000.0;

/// Limits as somebody gives them; what is missing is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct GivenLimits {
    /// Starts a period.
    pub rate: Option<i64>,
    /// The period, in seconds; 1 when missing. Counted in milliseconds, rounded up.
    pub period_s: Option<f64>,
    /// Starts at once after a pause; 1 when missing: then starts are evenly spaced, and no window of a period ever has
    /// more than the rate and one.
    pub burst: Option<i64>,
    /// Jobs that run at once.
    pub max_running: Option<i64>,
    /// Share against other lanes; 1 when missing.
    pub weight: Option<f64>,
}

/// A limit that cannot be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongLimit {
    /// Its name in [`GivenLimits`].
    pub field: &'static str,
    /// What was expected.
    pub message: String,
}

impl GivenLimits {
    /// The limits of a lane.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn lane(self) -> Result<LaneLimits, Vec<WrongLimit>> {
        let mut wrong = Vec::new();
        let limits = LaneLimits {
            rate: self.checked_rate(&mut wrong),
            max_running: whole(&mut wrong, "max_running", self.max_running),
            weight: self.weight.unwrap_or(1.0),
        };
        if !WEIGHT.contains(&limits.weight) {
            fail(&mut wrong, "weight", format!("expected {} to {}", WEIGHT.start(), WEIGHT.end()));
        }
        if wrong.is_empty() { Ok(limits) } else { Err(wrong) }
    }

    /// The limits of a queue, which has no weight.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn queue(self) -> Result<QueueLimits, Vec<WrongLimit>> {
        let LaneLimits { rate, max_running, .. } = self.lane()?;
        Ok(QueueLimits { rate, max_running })
    }

    fn checked_rate(self, wrong: &mut Vec<WrongLimit>) -> Option<Rate> {
        let (rate, burst) = (whole(wrong, "rate", self.rate), whole(wrong, "burst", self.burst));
        let period_s = self.period_s.unwrap_or(1.0);
        if !PERIOD_S.contains(&period_s) {
            fail(wrong, "period_s", format!("expected {} to {} seconds", PERIOD_S.start(), PERIOD_S.end()));
            return None;
        }
        if self.rate.is_none() {
            for (field, given) in [("period_s", self.period_s.is_some()), ("burst", self.burst.is_some())] {
                if given {
                    fail(wrong, field, "means nothing without a rate");
                }
            }
        }
        let rate = rate?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "in range, by the check above"
        )]
        let millis = (period_s * 1000.0 - 1e-6).ceil() as u64;
        if f64::from(rate) > MOST_PER_S * period_s {
            fail(wrong, "rate", format!("more than {MOST_PER_S} starts a second: give none for no limit"));
        }
        Some(Rate { rate, period_ms: millis, burst: burst.unwrap_or(1) })
    }
}

fn whole(wrong: &mut Vec<WrongLimit>, field: &'static str, given: Option<i64>) -> Option<u32> {
    let number = given?;
    if !(1..=MOST).contains(&number) {
        fail(wrong, field, format!("expected a whole number from 1 to {MOST}"));
    }
    u32::try_from(number).ok()
}

fn fail(wrong: &mut Vec<WrongLimit>, field: &'static str, message: impl Display) {
    wrong.push(WrongLimit { field, message: message.to_string() });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(given: GivenLimits) -> Vec<&'static str> {
        given.lane().unwrap_err().into_iter().map(|it| it.field).collect()
    }

    #[test]
    fn what_is_missing_is_no_limit_and_a_rate_is_evenly_spaced() {
        assert_eq!(GivenLimits::default().lane(), Ok(LaneLimits::default()));
        let given = GivenLimits { rate: Some(20), ..GivenLimits::default() };
        assert_eq!(given.lane().unwrap().rate, Some(Rate { rate: 20, period_ms: 1000, burst: 1 }));
        for (period_s, period_ms) in
            [(0.001, 1), (0.0011, 2), (0.1, 100), (0.3, 300), (4.35, 4350), (90.0, 90_000)]
        {
            let given = GivenLimits { period_s: Some(period_s), ..given };
            assert_eq!(given.lane().unwrap().rate.unwrap().period_ms, period_ms);
        }
    }

    #[test]
    fn everything_wrong_is_told() {
        let given = GivenLimits {
            rate: Some(0),
            period_s: Some(0.0009),
            burst: Some(0),
            max_running: Some(MOST + 1),
            weight: Some(0.0),
        };
        assert_eq!(wrong(given), ["rate", "burst", "period_s", "max_running", "weight"]);
        let alone = GivenLimits { period_s: Some(1.0), burst: Some(2), ..GivenLimits::default() };
        assert_eq!(wrong(alone), ["period_s", "burst"]);
        let fast = GivenLimits { rate: Some(501), period_s: Some(0.01), ..GivenLimits::default() };
        assert_eq!(wrong(fast), ["rate"]);
        for weight in [f64::NAN, f64::INFINITY, -1.0, 1000.1] {
            assert_eq!(wrong(GivenLimits { weight: Some(weight), ..GivenLimits::default() }), ["weight"]);
        }
    }
}
