//! Times and spans of time in words.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// A time, exactly and in words.
pub struct When {
    pub exact: String,
    pub words: String,
}

impl When {
    pub fn new(at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let words =
            if at > now { format!("in {}", span(at - now)) } else { format!("{} ago", span(now - at)) };
        Self { exact: at.to_rfc3339_opts(SecondsFormat::Millis, true), words }
    }
}

/// A span of time in one or two words.
pub fn span(span: TimeDelta) -> String {
    let ms = span.num_milliseconds().max(0);
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        60_000..3_600_000 => format!("{} min", ms / 60_000),
        3_600_000..172_800_000 => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
        _ => format!("{} days", ms / 86_400_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        let said = [0, 999, 1_500, 59_999, 60_000, 3_600_000, 5_400_000, 172_800_000]
            .map(|ms| span(TimeDelta::milliseconds(ms)));
        assert_eq!(said, ["0 ms", "999 ms", "1.5 s", "59.9 s", "1 min", "1 h 0 min", "1 h 30 min", "2 days"]);
    }
}
