//! How an attempt ended.

use std::time::Duration;

use serde_json::Value;

use crate::enqueue::new_job::NewJob;

/// How an attempt ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It succeeded.
    Completed {
        /// The job's output.
        output: Value,
        /// Jobs that are enqueued with the completion.
        next: Vec<NewJob>,
    },
    /// It failed, and the job is retried after `delay`.
    Retry {
        /// A stable word for programs.
        code: String,
        /// What happened.
        message: String,
        /// How long to wait.
        delay: Duration,
    },
    /// It failed for good.
    Discarded {
        /// A stable word for programs.
        code: String,
        /// What happened.
        message: String,
    },
    /// The job runs again after this long, and the attempt does not count.
    Snoozed(Duration),
    /// It was stopped by a cancel.
    Cancelled,
    /// Its worker shuts down. Another worker takes the job at once, and the attempt does not count.
    HandedBack,
    /// The handler has committed its own completion through
    /// [`JobContext::finish_in`](crate::JobContext::finish_in).
    AlreadyFinished,
}

impl Outcome {
    /// The names of the outcomes, each at its index.
    pub const NAMES: [&str; 6] = ["completed", "retried", "discarded", "snoozed", "cancelled", "handed_back"];

    /// Which of [`NAMES`](Self::NAMES) is this outcome's.
    pub(crate) fn index(&self) -> usize {
        match self {
            Self::Completed { .. } | Self::AlreadyFinished => 0,
            Self::Retry { .. } => 1,
            Self::Discarded { .. } => 2,
            Self::Snoozed(_) => 3,
            Self::Cancelled => 4,
            Self::HandedBack => 5,
        }
    }

    /// The name of the outcome, for metrics and traces.
    pub fn name(&self) -> &'static str {
        Self::NAMES[self.index()]
    }

    pub(super) fn output(&self) -> Option<&Value> {
        match self {
            Self::Completed { output, .. } => Some(output),
            _ => None,
        }
    }

    /// About how many bytes its output takes.
    pub(crate) fn output_bytes(&self) -> usize {
        self.output().map_or(0, bytes)
    }
}

/// About how many bytes `value` takes as JSON.
fn bytes(value: &Value) -> usize {
    8 + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(bytes).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + bytes(value)).sum(),
    }
}
