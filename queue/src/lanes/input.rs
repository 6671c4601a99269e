//! Limits as people enter them, and what is wrong with them.

use std::fmt::Display;
use std::ops::RangeInclusive;

use crate::lanes::gcra::Rate;
use crate::lanes::limits::{LaneLimits, QueueLimits};

/// The highest rate, burst and number of running jobs that can be set.
pub const MAX_LIMIT: i64 = 1_000_000;
/// The shortest and the longest period, in seconds.
const PERIOD_RANGE_S: RangeInclusive<f64> = 0.001..=31_536_000.0;
/// The smallest and the greatest weight. Weights further apart would cost the virtual time its
/// precision.
const WEIGHT_RANGE: RangeInclusive<f64> = 0.001..=1_000.0;
/// The most starts a second. The clock has microseconds, so that a shorter interval would be
/// rounded by more than 5 %.
const MAX_STARTS_PER_S: f64 = 50_000.0;

/// Limits as somebody enters them. A field that is missing sets no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LimitsInput {
    /// Starts a period.
    pub rate: Option<i64>,
    /// The period, in seconds; 1 when missing. It is rounded up to milliseconds.
    pub period_s: Option<f64>,
    /// Starts at once after a pause; 1 when missing. Starts are evenly spaced then, so that a
    /// window of one period has at most one start more than the rate.
    pub burst: Option<i64>,
    /// Jobs that run at once.
    pub max_running: Option<i64>,
    /// Share against other lanes; 1 when missing.
    pub weight: Option<f64>,
}

/// A limit that cannot be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidLimit {
    /// The field's name in [`LimitsInput`].
    pub field: &'static str,
    /// What was expected in its place.
    pub message: String,
}

impl LimitsInput {
    /// The limits of a lane.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn lane(self) -> Result<LaneLimits, Vec<InvalidLimit>> {
        let mut invalid = Vec::new();
        let limits = LaneLimits {
            rate: self.checked_rate(&mut invalid),
            max_running: whole(&mut invalid, "max_running", self.max_running),
            weight: self.weight.unwrap_or(1.0),
        };
        if !WEIGHT_RANGE.contains(&limits.weight) {
            fail(
                &mut invalid,
                "weight",
                format!("expected {} to {}", WEIGHT_RANGE.start(), WEIGHT_RANGE.end()),
            );
        }
        if invalid.is_empty() { Ok(limits) } else { Err(invalid) }
    }

    /// The limits of a queue, which has no weight.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn queue(self) -> Result<QueueLimits, Vec<InvalidLimit>> {
        let LaneLimits { rate, max_running, .. } = self.lane()?;
        Ok(QueueLimits { rate, max_running })
    }

    fn checked_rate(self, invalid: &mut Vec<InvalidLimit>) -> Option<Rate> {
        let (rate, burst) = (whole(invalid, "rate", self.rate), whole(invalid, "burst", self.burst));
        let period_s = self.period_s.unwrap_or(1.0);
        if !PERIOD_RANGE_S.contains(&period_s) {
            fail(
                invalid,
                "period_s",
                format!("expected {} to {} seconds", PERIOD_RANGE_S.start(), PERIOD_RANGE_S.end()),
            );
            return None;
        }
        if self.rate.is_none() {
            for (field, is_set) in [("period_s", self.period_s.is_some()), ("burst", self.burst.is_some())] {
                if is_set {
                    fail(invalid, field, "means nothing without a rate");
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
        if f64::from(rate) > MAX_STARTS_PER_S * period_s {
            fail(
                invalid,
                "rate",
                format!("more than {MAX_STARTS_PER_S} starts a second: give none for no limit"),
            );
        }
        Some(Rate { rate, period_ms: millis, burst: burst.unwrap_or(1) })
    }
}

fn whole(invalid: &mut Vec<InvalidLimit>, field: &'static str, input: Option<i64>) -> Option<u32> {
    let number = input?;
    if !(1..=MAX_LIMIT).contains(&number) {
        fail(invalid, field, format!("expected a whole number from 1 to {MAX_LIMIT}"));
    }
    u32::try_from(number).ok()
}

fn fail(invalid: &mut Vec<InvalidLimit>, field: &'static str, message: impl Display) {
    invalid.push(InvalidLimit { field, message: message.to_string() });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invalid(input: LimitsInput) -> Vec<&'static str> {
        input.lane().unwrap_err().into_iter().map(|it| it.field).collect()
    }

    #[test]
    fn missing_field_sets_no_limit_and_a_rate_alone_is_evenly_spaced() {
        assert_eq!(LimitsInput::default().lane(), Ok(LaneLimits::default()));
        let input = LimitsInput { rate: Some(20), ..LimitsInput::default() };
        assert_eq!(input.lane().unwrap().rate, Some(Rate { rate: 20, period_ms: 1000, burst: 1 }));
        for (period_s, period_ms) in
            [(0.001, 1), (0.0011, 2), (0.1, 100), (0.3, 300), (4.35, 4350), (90.0, 90_000)]
        {
            let input = LimitsInput { period_s: Some(period_s), ..input };
            assert_eq!(input.lane().unwrap().rate.unwrap().period_ms, period_ms);
        }
    }

    #[test]
    fn every_invalid_field_is_reported() {
        let input = LimitsInput {
            rate: Some(0),
            period_s: Some(0.0009),
            burst: Some(0),
            max_running: Some(MAX_LIMIT + 1),
            weight: Some(0.0),
        };
        assert_eq!(invalid(input), ["rate", "burst", "period_s", "max_running", "weight"]);
        let alone = LimitsInput { period_s: Some(1.0), burst: Some(2), ..LimitsInput::default() };
        assert_eq!(invalid(alone), ["period_s", "burst"]);
        let fast = LimitsInput { rate: Some(501), period_s: Some(0.01), ..LimitsInput::default() };
        assert_eq!(invalid(fast), ["rate"]);
        for weight in [f64::NAN, f64::INFINITY, -1.0, 1000.1] {
            assert_eq!(invalid(LimitsInput { weight: Some(weight), ..LimitsInput::default() }), ["weight"]);
        }
    }
}
