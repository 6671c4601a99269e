//! Reads values by their names, and gathers what is wrong with them.

use std::fmt;

/// Every wrong setting, each with what was expected.
#[derive(Debug, thiserror::Error)]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    /// These settings are wrong.
    pub(crate) fn new(problems: Vec<String>) -> Self {
        Self(problems)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wrong settings:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// Reads values and gathers what is wrong with them.
pub(super) struct Reader<'a> {
    pub(super) get: &'a dyn Fn(&str) -> Option<String>,
    pub(super) problems: Vec<String>,
}

impl Reader<'_> {
    /// An empty value counts as not set: `.env` files and compose files have such lines.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        (self.get)(name).filter(|value| !value.trim().is_empty())
    }

    pub(super) fn value<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(name)?;
        let value = parse(text.trim());
        if value.is_none() {
            // A URL may hold a password.
            let shown = if text.contains('@') { "the value".to_owned() } else { format!("{text:?}") };
            self.problems.push(format!("{name}: {shown} is not {expected}"));
        }
        value
    }

    /// A value of several parts: `parse` says itself which is wrong, and what was expected.
    pub(super) fn checked<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(name)?;
        parse(text.trim()).map_err(|why| self.problems.push(format!("{name}: {why}"))).ok()
    }

    pub(super) fn number(&mut self, name: &str, default: u32, least: u32, most: u32) -> u32 {
        let expected = format!("a whole number from {least} to {most}");
        self.value(name, &expected, |text| text.parse().ok().filter(|n| (least..=most).contains(n)))
            .unwrap_or(default)
    }
}
