//! When a request is tried again.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);

/// The tries of one request.
pub(super) struct Tries {
    until: Instant,
    pause: Duration,
    count: u32,
}

impl Tries {
    /// Of a request that is given up when it would have taken longer than that.
    pub(super) fn new(patience: Duration) -> Self {
        Self { until: Instant::now() + patience, pause: FIRST, count: 0 }
    }

    /// How long to wait before the next one: what the server asks for, else longer each time. None
    /// when that is too long.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let pause = asked.map_or(self.pause, |asked| asked.max(FIRST));
        self.pause = (self.pause * 2).min(LONGEST);
        self.count += 1;
        Instant::now().checked_add(pause).is_some_and(|at| at <= self.until).then_some(pause)
    }

    /// Whether the next try is the first one after a failure.
    pub(super) fn is_first(&self) -> bool {
        self.count == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_the_server_may_ask_for_longer_but_not_for_ever() {
        let mut tries = Tries::new(Duration::from_mins(1));
        assert_eq!(tries.next(None), Some(FIRST));
        assert_eq!(tries.next(Some(Duration::from_secs(30))), Some(Duration::from_secs(30)));
        assert_eq!(tries.next(None), Some(FIRST * 4));
        assert_eq!(tries.next(Some(Duration::ZERO)), Some(FIRST));
        assert_eq!(tries.next(Some(Duration::from_secs(u64::MAX))), None);
        assert_eq!(tries.next(Some(Duration::from_hours(1))), None);
        for _ in 0..20 {
            tries.next(None);
        }
        assert_eq!(tries.next(None), Some(LONGEST));
    }
}
