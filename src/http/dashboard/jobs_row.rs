//! A job in the list.

use serde_json::Value;
use weirgate_queue::JobState;
use weirgate_web::dashboard::when::{When, span};
use weirgate_web::job::JobResource;

/// Most characters of arguments in the list.
const SHORT: usize = 80;

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
                job.attempted_at.map(|at| format!("running for {}", span(job.observed_at - at)))
            }
            JobState::Completed => ran(&job),
            JobState::Cancelled => job.why_cancelled.as_ref().map(|why| without_ids(&why.message)),
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
    job.attempted_at.zip(job.finalized_at).map(|(from, to)| format!("ran for {}", span(to - from)))
}

/// A message in short: the job's page has the links.
fn without_ids(message: &str) -> String {
    let mut short = String::new();
    for word in message.split(' ') {
        let name = word.trim_end_matches([',', ':']);
        if name.parse::<uuid::Uuid>().is_ok() {
            short.push_str(&word[name.len()..]);
        } else {
            let space = if short.is_empty() { "" } else { " " };
            short.extend([space, word]);
        }
    }
    short
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
