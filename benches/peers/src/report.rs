//! What a measurement found, as `weirgate bench --json` says it too.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The figures of one scenario and one peer, with what they depend on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) scenario: String,
    pub(crate) figures: BTreeMap<String, f64>,
    pub(crate) settings: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) machine: BTreeMap<String, Value>,
}

impl Report {
    pub(crate) fn new(scenario: &str) -> Self {
        Self { scenario: scenario.to_owned(), ..Self::default() }
    }

    /// Adds a figure, to four significant digits.
    pub(crate) fn figure(&mut self, name: &str, value: f64) {
        let digits = if value == 0.0 || !value.is_finite() { 0.0 } else { 3.0 - value.abs().log10().floor() };
        let scale = 10_f64.powf(digits.clamp(0.0, 12.0));
        self.figures.insert(name.to_owned(), (value * scale).round() / scale);
    }

    pub(crate) fn setting(&mut self, name: &str, value: impl Into<Value>) {
        self.settings.insert(name.to_owned(), value.into());
    }

    /// The figures on one line.
    pub(crate) fn line(&self) -> String {
        self.figures.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
    }
}

/// Milliseconds at a percentile (0 to 100) of the durations; 0 without any.
pub(crate) fn percentile_ms(durations: &mut [Duration], percent: usize) -> f64 {
    durations.sort_unstable();
    let last = durations.len().saturating_sub(1);
    durations.get((durations.len() * percent / 100).min(last)).map_or(0.0, |at| at.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Report, percentile_ms};

    #[test]
    fn percentiles_are_of_the_sorted() {
        let mut durations: Vec<_> = (1..=200).rev().map(Duration::from_millis).collect();
        let at = [0, 50, 99, 100].map(|percent| percentile_ms(&mut durations, percent));
        assert!(
            at.iter().zip([1.0, 101.0, 199.0, 200.0]).all(|(one, other)| (one - other).abs() < 1e-9),
            "{at:?}"
        );
        assert!(percentile_ms(&mut [], 50).abs() < 1e-9);
    }

    #[test]
    fn a_line_of_ours_is_read() {
        let line = r#"{"scenario":"drain","figures":{"jobs_per_s_1":1.5},"settings":{"jobs":100},"machine":{"cores":2}}"#;
        let report: Report = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&report).unwrap(), line);
    }
}
