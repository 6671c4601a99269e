//! The ways in which an attempt ends without success.

use std::fmt;
use std::time::Duration;

/// How an attempt ends when it does not succeed. `?` on any error makes a [`JobError::Failed`].
#[derive(Debug)]
pub enum JobError {
    /// The attempt failed. While attempts are left the job is retried, after the kind's backoff.
    Failed {
        /// A stable word for programs.
        code: &'static str,
        /// What happened.
        source: anyhow::Error,
        /// How long to wait instead of the backoff, as an upstream's `Retry-After` asks for.
        retry_after: Option<Duration>,
    },
    /// The job failed for good: no attempt can succeed.
    Discard {
        /// A stable word for programs.
        code: &'static str,
        /// What happened, for people.
        message: String,
    },
    /// The job has to run later; this attempt does not count.
    Snooze(Duration),
    /// The attempt stopped because the job was cancelled.
    Cancelled,
}

impl JobError {
    /// A failure with a code of its own. The job is retried.
    pub fn failed(code: &'static str, source: impl Into<anyhow::Error>) -> Self {
        Self::Failed { code, source: source.into(), retry_after: None }
    }

    /// A failure after which the job is retried after exactly `delay`.
    pub fn retry_after(delay: Duration, source: impl Into<anyhow::Error>) -> Self {
        Self::Failed { code: "failed", source: source.into(), retry_after: Some(delay) }
    }

    /// A failure for good.
    pub fn discard(code: &'static str, message: impl fmt::Display) -> Self {
        Self::Discard { code, message: message.to_string() }
    }

    /// Runs the job again after `delay`; this attempt does not count.
    pub fn snooze(delay: Duration) -> Self {
        Self::Snooze(delay)
    }
}

impl<E: Into<anyhow::Error>> From<E> for JobError {
    fn from(error: E) -> Self {
        Self::failed("failed", error)
    }
}
