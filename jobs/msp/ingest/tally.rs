//! Counts the rows of an ingest, and fails it if all rows of a file or URL were rejected.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weirgate_queue::JobError;

/// Reasons that are told of each file or URL whose rows are all rejected.
const SAMPLES: usize = 3;

/// What an ingest hands on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ingested {
    /// Rows of the source.
    pub read: u64,
    /// Rows that were taken.
    pub accepted: u64,
    /// Rows that were set aside in `ingest_rejects`.
    pub rejected: u64,
}

/// The rows of a read, counted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    #[serde(flatten)]
    pub(crate) total: Ingested,
    /// By the files or URLs that rows came from: one or two.
    origins: BTreeMap<String, Origin>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Origin {
    accepted: u64,
    rejected: u64,
    /// Line and reason of the first rows that were rejected for different reasons.
    samples: Vec<(u64, String)>,
}

impl Tally {
    /// Counts a good row.
    pub(crate) fn accept(&mut self, origin: &str) {
        self.total.read += 1;
        self.total.accepted += 1;
        self.origin(origin).accepted += 1;
    }

    /// Counts a bad row.
    pub(crate) fn reject(&mut self, origin: &str, line: u64, reason: &str) {
        self.total.read += 1;
        self.total.rejected += 1;
        let origin = self.origin(origin);
        origin.rejected += 1;
        if origin.samples.len() < SAMPLES && origin.samples.iter().all(|(_, other)| other != reason) {
            origin.samples.push((line, reason.to_owned()));
        }
    }

    fn origin(&mut self, name: &str) -> &mut Origin {
        // Not by `entry`, which would make a text of the name for each row.
        if !self.origins.contains_key(name) {
            self.origins.insert(name.to_owned(), Origin::default());
        }
        self.origins.get_mut(name).expect("it is there")
    }

    /// Fails where a source had rows and none of them was good: that is another form, or noise, and
    /// not a day without rows.
    ///
    /// # Errors
    /// [`JobError::Discard`] with a sample of the reasons.
    pub(crate) fn check(&self) -> Result<(), JobError> {
        let bad = self.origins.iter().find(|(_, origin)| origin.accepted == 0 && origin.rejected > 0);
        let Some((name, origin)) = bad else { return Ok(()) };
        let samples: Vec<_> = origin.samples.iter().map(|(line, why)| format!("{line}: {why}")).collect();
        let all = match origin.rejected {
            1 => "the only row was rejected".to_owned(),
            rejected => format!("all {rejected} rows were rejected"),
        };
        let message = format!(
            "{name}: {all}, for reasons such as (line or row number first) {}; fix the source and retry",
            samples.join("; ")
        );
        Err(JobError::discard("all_rows_rejected", message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tally: &Tally) -> String {
        match tally.check() {
            Err(JobError::Discard { code: "all_rows_rejected", message }) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_source_without_rows_or_with_a_good_one_is_fine() {
        let mut tally = Tally::default();
        tally.check().unwrap();
        tally.reject("a", 1, "bad");
        tally.accept("a");
        tally.check().unwrap();
        assert_eq!(tally.total, Ingested { read: 2, accepted: 1, rejected: 1 });
    }

    #[test]
    fn different_reasons_are_told_with_their_lines() {
        let mut tally = Tally::default();
        for (line, reason) in [(1, "one"), (2, "one"), (3, "two"), (4, "three"), (5, "four")] {
            tally.reject("a", line, reason);
        }
        let message = message(&tally);
        assert!(
            message.starts_with("a: all 5 rows were rejected")
                && message.contains("1: one; 3: two; 4: three")
        );
        assert!(!message.contains("four"), "{message}");
    }

    #[test]
    fn one_bad_source_is_not_hidden_by_another_good_one() {
        let mut tally = Tally::default();
        tally.accept("good");
        tally.reject("bad", 7, "noise");
        assert!(message(&tally).starts_with("bad: the only row was rejected"));
        let stored = serde_json::to_value(&tally).unwrap();
        assert!(
            message(&serde_json::from_value(stored).unwrap()).contains("7: noise"),
            "it lasts over a wait"
        );
    }
}
