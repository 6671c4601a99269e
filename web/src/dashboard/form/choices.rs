//! Boxes to tick.

use askama::Template;

use super::Given;

/// Boxes to tick, several at once.
#[derive(Debug, Template)]
#[template(path = "choices.html")]
pub struct Choices {
    name: &'static str,
    legend: &'static str,
    /// Value, sentence, whether it is ticked.
    options: Vec<(&'static str, &'static str, bool)>,
    wrong: Vec<String>,
}

impl Given {
    /// Boxes to tick, any number of `options`: a value each, and a sentence about it.
    pub fn choices(
        &self,
        name: &'static str,
        legend: &'static str,
        options: impl IntoIterator<Item = (&'static str, &'static str)>,
    ) -> Choices {
        let is_ticked =
            |value: &str| self.pairs.iter().any(|(given, ticked)| given == name && ticked == value);
        let options = options.into_iter().map(|(value, text)| (value, text, is_ticked(value))).collect();
        let wrong = self.errors.iter().filter(|error| error.field == name);
        Choices { name, legend, options, wrong: wrong.map(|error| error.message.clone()).collect() }
    }
}
