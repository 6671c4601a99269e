//! A job in the list.

use serde_json::Value;
use weirgate_queue::JobState;

use super::view::{When, span};
use crate::http::job::JobResource;

/// Most characters of arguments in the list.
const SHORT: usize = 80;

/// What the engine writes into a job that is cancelled because another one failed.
const DEPENDENCY_FAILED: &str = "dependency_failed";

pub(super) struct Row {
    pub(super) id: String,
    pub(super) state: &'static str,
    pub(super) kind: String,
    pub(super) tenant: String,
    pub(super) queue: String,
    /// In short.
    pub(super) args: String,
    pub(super) attempts: String,
    pub(super) created: When,
    /// How long it ran, or why it does not.
    pub(super) remark: String,
}

impl Row {
    pub(super) fn new(job: JobResource) -> Self {
        let remark = match job.state {
            JobState::Discarded | JobState::Retryable => last_error(&job),
            JobState::Running => {
                job.attempted_at.map(|at| format!("runs since {}", span(job.observed_at - at)))
            }
            JobState::Completed => ran(&job),
            JobState::Cancelled => Some(why_cancelled(&job)),
            _ => job.why_not_running.as_ref().map(|why| why.message.clone()),
        };
        Self {
            id: job.id.to_string(),
            state: job.state.as_str(),
            args: in_short(&job.args),
            attempts: format!("{} of {}", job.attempt, job.max_attempts),
            created: When::new(job.created_at, job.observed_at),
            remark: remark.unwrap_or_default(),
            kind: job.kind,
            tenant: job.tenant,
            queue: job.queue,
        }
    }
}

fn last_error(job: &JobResource) -> Option<String> {
    job.errors.last().map(|error| format!("{}: {}", error.code, error.message))
}

fn ran(job: &JobResource) -> Option<String> {
    job.attempted_at.zip(job.finalized_at).map(|(from, to)| format!("ran {}", span(to - from)))
}

/// What a job that was cancelled says of it by itself: its page tells who did it.
fn why_cancelled(job: &JobResource) -> String {
    let last = job.errors.last();
    if let Some(error) = last.filter(|error| error.code == DEPENDENCY_FAILED) {
        return format!("a job that it waited on failed: {}", without_ids(&error.message));
    }
    let began = job.attempted_at;
    let Some(error) = last else {
        return match ran(job) {
            Some(ran) => format!("told to stop; {ran}"),
            None => "cancelled before it started".to_owned(),
        };
    };
    // The error of the attempt that was told to stop, or of one before.
    if began.is_some() && error.started_at == began && error.retry_at.is_none() {
        format!("told to stop: {}: {}", error.code, error.message)
    } else {
        format!("cancelled after a failed attempt: {}: {}", error.code, error.message)
    }
}

/// A message in short: the job's page has the links.
fn without_ids(message: &str) -> String {
    let words = message.split(' ').filter(|word| word.parse::<uuid::Uuid>().is_err());
    words.collect::<Vec<_>>().join(" ")
}

/// Arguments on one line: `date 2026-01-20`. The tenant has a column of its own.
fn in_short(args: &Value) -> String {
    let Some(args) = args.as_object() else { return String::new() };
    let words = args.iter().filter(|(name, _)| *name != "tenant").map(|(name, value)| match value {
        Value::String(text) => format!("{name} {text}"),
        other => format!("{name} {other}"),
    });
    let all = words.collect::<Vec<_>>().join(", ");
    match all.char_indices().nth(SHORT) {
        Some((end, _)) => format!("{}…", &all[..end]),
        None => all,
    }
}
