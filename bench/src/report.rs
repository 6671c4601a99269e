//! What a scenario found.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde::Serialize;
use serde_json::Value;

/// The figures of one scenario, with what they depend on.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub(super) scenario: &'static str,
    pub(super) figures: BTreeMap<&'static str, f64>,
    pub(super) settings: BTreeMap<&'static str, Value>,
    pub(super) machine: BTreeMap<&'static str, Value>,
}

impl Report {
    pub(super) fn new(scenario: &'static str) -> Self {
        Self { scenario, ..Self::default() }
    }

    /// Adds a figure, to four significant digits.
    pub(super) fn figure(&mut self, name: &'static str, value: f64) {
        self.figures.insert(name, rounded(value));
    }

    pub(super) fn setting(&mut self, name: &'static str, value: impl Into<Value>) {
        self.settings.insert(name, value.into());
    }

    /// As one JSON document, on one line.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers and texts")
    }
}

/// For people: a table of the figures, and below it what they depend on.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header([self.scenario, ""]);
        for (name, value) in &self.figures {
            table.add_row([(*name).to_owned(), value.to_string()]);
        }
        write!(f, "{table}")?;
        for (name, value) in self.settings.iter().chain(&self.machine) {
            write!(f, "\n{name}: {value}")?;
        }
        Ok(())
    }
}

/// To four significant digits.
pub(super) fn rounded(value: f64) -> f64 {
    let digits = if value == 0.0 || !value.is_finite() { 0.0 } else { 3.0 - value.abs().log10().floor() };
    let scale = 10_f64.powf(digits.clamp(0.0, 12.0));
    (value * scale).round() / scale
}

/// Milliseconds at a percentile (0 to 100) of the durations; 0 without any.
pub(super) fn percentile_ms(durations: &mut [Duration], percent: usize) -> f64 {
    durations.sort_unstable();
    let last = durations.len().saturating_sub(1);
    durations.get((durations.len() * percent / 100).min(last)).map_or(0.0, |at| at.as_secs_f64() * 1000.0)
}

/// The middle one.
pub(super) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    f64::midpoint(figures[(figures.len() - 1) / 2], figures[figures.len() / 2])
}
