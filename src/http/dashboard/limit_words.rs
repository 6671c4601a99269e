//! Rates and limits in words.

use weirgate_queue::lanes::{LaneLimits, QueueLimits, Rate};
use weirgate_web::dashboard::words::{count, of, short};

/// The period of a rate.
pub(super) fn period(rate: Rate) -> String {
    #[expect(clippy::cast_precision_loss, reason = "at most a year")]
    let seconds = rate.period_ms as f64 / 1000.0;
    match rate.period_ms {
        1_000 => "per second".to_owned(),
        60_000 => "per minute".to_owned(),
        3_600_000 => "per hour".to_owned(),
        86_400_000 => "per day".to_owned(),
        _ => format!("per {} s", short(seconds)),
    }
}

fn parts(rate: Option<Rate>, max_running: Option<u32>) -> Vec<String> {
    let rate = rate.map(|rate| {
        let starts = of(i64::from(rate.rate), "start", "starts");
        format!("{starts} {}, burst {}", period(rate), count(i64::from(rate.burst)))
    });
    let most = max_running.map(|most| format!("max running {}", count(i64::from(most))));
    rate.into_iter().chain(most).collect()
}

/// What all lanes of a queue together may do.
pub(super) fn queue_limits(limits: QueueLimits) -> String {
    let parts = parts(limits.rate, limits.max_running);
    if parts.is_empty() { "no limit".to_owned() } else { parts.join("; ") }
}

/// What a lane may do.
pub(super) fn lane_limits(limits: LaneLimits) -> String {
    let mut parts = parts(limits.rate, limits.max_running);
    if parts.is_empty() {
        parts.push("no limit".to_owned());
    }
    parts.push(format!("weight {}", short(limits.weight)));
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_told() {
        let rate = |rate, period_ms, burst| Some(Rate { rate, period_ms, burst });
        let lane = |rate, max_running, weight| lane_limits(LaneLimits { rate, max_running, weight });
        assert_eq!(lane(None, None, 1.0), "no limit; weight 1");
        assert_eq!(
            lane(rate(20, 1000, 5), Some(3), 0.5),
            "20 starts per second, burst 5; max running 3; weight 0.5"
        );
        assert_eq!(lane(rate(1, 2500, 1), None, 1.0), "1 start per 2.5 s, burst 1; weight 1");
        assert_eq!(queue_limits(QueueLimits::default()), "no limit");
        let limits = QueueLimits { rate: rate(1200, 60_000, 1), max_running: Some(40) };
        assert_eq!(queue_limits(limits), "1,200 starts per minute, burst 1; max running 40");
    }
}
