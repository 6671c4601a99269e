//! How long a failed job waits: exponential backoff with full jitter.
//!
//! The envelope comes from the `backoff` crate; the jitter is drawn here, from a generator that the caller owns, so
//! that tests can choose it. Source: "Exponential Backoff and Jitter", AWS Architecture Blog, 2015 ("full jitter":
//! a uniform draw from zero to the envelope).

use std::time::Duration;

use backoff::ExponentialBackoffBuilder;
use backoff::backoff::Backoff;
use rand::{Rng, RngExt};

/// Backoff of one kind of job.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// Longest wait after the first failed attempt.
    pub base: Duration,
    /// What each further failure multiplies the longest wait by.
    pub multiplier: f64,
    /// The longest wait never exceeds this.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { base: Duration::from_secs(2), multiplier: 2.0, cap: Duration::from_mins(10) }
    }
}

impl RetryPolicy {
    /// The longest wait after failed attempt number `attempt`, counted from 1.
    pub fn envelope(&self, attempt: u16) -> Duration {
        let mut backoff = ExponentialBackoffBuilder::new()
            .with_initial_interval(self.base.min(self.cap))
            .with_multiplier(self.multiplier)
            .with_max_interval(self.cap)
            .with_randomization_factor(0.0)
            .with_max_elapsed_time(None)
            .build();
        // The cap is reached after some dozens of doublings; counting on changes nothing. The crate adds up to a
        // nanosecond to an interval (it draws from a range closed on both ends), so the cap is held here.
        let last = (0..attempt.clamp(1, 200)).filter_map(|_| backoff.next_backoff()).last();
        last.unwrap_or(self.cap).min(self.cap)
    }

    /// The wait after failed attempt number `attempt`: uniform between zero and the envelope.
    pub fn delay(&self, attempt: u16, rng: &mut impl Rng) -> Duration {
        self.envelope(attempt).mul_f64(rng.random_range(0.0..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn the_envelope_doubles_up_to_the_cap() {
        let policy =
            RetryPolicy { base: Duration::from_secs(2), multiplier: 2.0, cap: Duration::from_mins(1) };
        let seconds: Vec<_> = (1..=7).map(|attempt| policy.envelope(attempt).as_secs()).collect();
        assert_eq!(seconds, [2, 4, 8, 16, 32, 60, 60]);
    }

    proptest! {
        #[test]
        fn a_delay_stays_within_its_envelope(
            base in 1u64..10_000, cap in 1u64..1_000_000, attempt in 0u16..2000, seed: u64,
        ) {
            let policy = RetryPolicy {
                base: Duration::from_millis(base), multiplier: 2.0, cap: Duration::from_millis(cap),
            };
            let delay = policy.delay(attempt, &mut StdRng::seed_from_u64(seed));
            prop_assert!(delay <= policy.envelope(attempt));
            prop_assert!(policy.envelope(attempt) <= policy.cap);
        }
    }

    #[test]
    fn a_draw_never_lifts_the_envelope_over_the_cap() {
        let cap = Duration::from_millis(705_271);
        let policy = RetryPolicy { base: Duration::from_millis(4519), multiplier: 2.0, cap };
        assert!((0..200_000).all(|_| policy.envelope(9) == cap));
    }

    #[test]
    fn the_jitter_is_full() {
        let policy = RetryPolicy::default();
        let mut rng = StdRng::seed_from_u64(7);
        let delays: Vec<_> = (0..1000).map(|_| policy.delay(3, &mut rng).as_secs_f64() / 8.0).collect();
        let mean = delays.iter().sum::<f64>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "mean of the envelope: {mean}");
        assert!(delays.iter().any(|share| *share < 0.05) && delays.iter().any(|share| *share > 0.95));
    }
}
