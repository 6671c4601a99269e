//! How jobs are shown, as far as their kinds decide it: each domain says it of its own.

use std::collections::HashMap;

use serde_json::Value;

/// What is true of the jobs of any domain: codes that the engine fails jobs with.
const TEXTS_OF_THE_ENGINE: [(&str, &str); 16] = [
    ("bad_arguments", "The job's arguments are not valid. The operators can see why."),
    (
        "dependency_failed",
        "A job that this one depends on failed or was cancelled, so this one was not started.",
    ),
    (FAILED, GENERAL),
    ("output_too_large", "The job's result is too large to be stored."),
    ("panicked", "The job stopped because of a program error. The operators can see where."),
    ("private_absent", "The job was enqueued without the private data that it needs."),
    ("private_damaged", "The private data of the job cannot be read."),
    ("private_deleted", "The private data of the job is deleted, so it cannot run any more."),
    ("private_no_key", "The worker that ran the job could not read its private data."),
    ("private_unexpected", "The private data of the job is not what the job expects."),
    ("private_unknown_key", "The worker that ran the job could not read its private data."),
    ("timed_out", "The job took longer than allowed."),
    ("unknown_kind", "No worker so far knows this kind of job."),
    ("unknown_tenant", "The tenant of this job does not exist."),
    ("worker_lost", "The worker that ran the job stopped unexpectedly."),
    ("wrong_state", "The state of the data does not allow what the job does."),
];

/// The code of a failure that has no other.
pub(crate) const FAILED: &str = "failed";

/// For every code that has no text of its own.
const GENERAL: &str = "The job failed. The operators can see why.";

/// A member that the shown output of a kind's jobs has more: where what they made is to be had.
#[derive(Debug, Clone, Copy)]
pub struct OutputLink {
    /// The kind of job.
    pub kind: &'static str,
    /// The member of its output that holds the id of what it made.
    pub id: &'static str,
    /// The member that is added.
    pub link: &'static str,
    /// What leads there, after the surface: `{id}` stands for the id.
    pub path: &'static str,
}

/// What domains say of their jobs.
#[derive(Debug)]
pub struct JobPresentation {
    texts: HashMap<&'static str, &'static str>,
    links: HashMap<&'static str, OutputLink>,
}

impl Default for JobPresentation {
    fn default() -> Self {
        Self { texts: TEXTS_OF_THE_ENGINE.into_iter().collect(), links: HashMap::new() }
    }
}

impl JobPresentation {
    /// With what tenants are told of failures with these codes. A code has one text.
    #[must_use]
    pub fn with_texts(mut self, texts: &[(&'static str, &'static str)]) -> Self {
        self.texts.extend(texts.iter().copied());
        self
    }

    /// With a link in the outputs of a kind.
    #[must_use]
    pub fn with_link(mut self, link: OutputLink) -> Self {
        self.links.insert(link.kind, link);
        self
    }

    /// Whether there is a text for failures of this code alone.
    pub fn has_text(&self, code: &str) -> bool {
        self.texts.contains_key(code)
    }

    /// What a tenant is told of a failure with this code.
    pub fn text(&self, code: &str) -> &'static str {
        self.texts.get(code).copied().unwrap_or(GENERAL)
    }

    /// The output of a job of this kind, with where what it made is to be had under `surface`, such
    /// as `https://example.com/v1`.
    pub(crate) fn output(&self, kind: &str, mut output: Value, surface: &str) -> Value {
        if let Some(link) = self.links.get(kind)
            && let Value::Object(members) = &mut output
            && let Some(Value::String(id)) = members.get(link.id)
        {
            let url = format!("{surface}{}", link.path.replace("{id}", id));
            members.insert(link.link.to_owned(), url.into());
        }
        output
    }
}
