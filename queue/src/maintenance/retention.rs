//! How long rows of the past are kept.

use std::time::Duration;

/// How long rows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Completed and cancelled jobs, after their end, and ticks of schedules.
    pub finished: Duration,
    /// Discarded jobs, after their end: somebody may want to retry them.
    pub discarded: Duration,
}

impl Default for Retention {
    /// 30 and 90 days.
    fn default() -> Self {
        let days = |days: u64| Duration::from_hours(24 * days);
        Self { finished: days(30), discarded: days(90) }
    }
}
