//! A job before it is stored.

use std::borrow::Cow;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::private::sealed::Sealed;
use crate::workflow::title::Title;

/// What a discarded or cancelled parent does to the job that waits on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum OnFailure {
    /// It cancels the child.
    Cancel,
    /// The child goes on as if the parent had completed.
    Continue,
}

impl OnFailure {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Continue => "continue",
        }
    }
}

/// A job about to be enqueued.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// The job's id, which is known before the job is stored.
    pub id: Uuid,
    pub(crate) tenant: Uuid,
    pub(crate) queue: Cow<'static, str>,
    pub(crate) kind: Cow<'static, str>,
    pub(crate) args: Value,
    pub(crate) priority: i16,
    pub(crate) max_attempts: i16,
    pub(crate) run_at: Option<DateTime<Utc>>,
    pub(crate) delay_s: f64,
    pub(crate) unique_key: Option<Vec<u8>>,
    pub(crate) workflow: Option<Uuid>,
    pub(crate) backfill: Option<Uuid>,
    pub(crate) joins_workflow: bool,
    pub(crate) name: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) title: Option<Arc<Title>>,
    pub(crate) traceparent: Option<String>,
    pub(crate) enqueued_by: Option<String>,
    pub(crate) parents: Vec<(Uuid, OnFailure)>,
    pub(crate) private: Option<Sealed>,
}

impl NewJob {
    /// Makes the job not unique: any number of the same may be live.
    #[must_use]
    pub fn not_unique(mut self) -> Self {
        self.unique_key = None;
        self
    }

    /// Makes the job unique by `scope` and `key` within its tenant, instead of by its arguments.
    #[must_use]
    pub fn unique_by(mut self, scope: &str, key: &str) -> Self {
        self.unique_key = Some(unique_key(scope, self.tenant, key));
        self
    }

    /// Sets its priority, −100 to 100: within a lane, jobs of a higher priority start first.
    #[must_use]
    pub fn priority(mut self, priority: i16) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the number of attempts after which a failure discards it, at least 1.
    #[must_use]
    pub fn max_attempts(mut self, attempts: i16) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// Starts it no sooner than this time.
    #[must_use]
    pub fn run_at(mut self, at: DateTime<Utc>) -> Self {
        self.run_at = Some(at);
        self
    }

    /// Starts it no sooner than this much later, by the database's clock.
    #[must_use]
    pub fn delay(mut self, delay: std::time::Duration) -> Self {
        self.delay_s = delay.as_secs_f64();
        self
    }

    /// Makes it part of this workflow.
    #[must_use]
    pub fn workflow(mut self, workflow: Uuid) -> Self {
        self.workflow = Some(workflow);
        self
    }

    /// Makes it part of this backfill: it is scheduled apart from the tenant's live work, which
    /// goes first.
    #[must_use]
    pub fn backfill(mut self, backfill: Uuid) -> Self {
        self.backfill = Some(backfill);
        self
    }

    /// Makes it part of the workflow of the job that enqueues it with [`crate::JobContext::then`],
    /// if that job is in one.
    #[must_use]
    pub fn join_workflow(mut self) -> Self {
        self.joins_workflow = true;
        self
    }

    /// Names it within its workflow.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets its subject, in place of the one that its kind derives from the arguments. Jobs of a
    /// workflow about one subject take that one.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Makes its run a part of a trace (W3C `traceparent`).
    #[must_use]
    pub fn traceparent(mut self, traceparent: Option<String>) -> Self {
        self.traceparent = traceparent;
        self
    }

    /// Notes who enqueued it, for people to read.
    #[must_use]
    pub fn enqueued_by(mut self, who: impl Into<String>) -> Self {
        self.enqueued_by = Some(who.into());
        self
    }

    /// Starts it only after the job `parent` is final.
    #[must_use]
    pub fn after(mut self, parent: Uuid, on_failure: OnFailure) -> Self {
        self.parents.push((parent, on_failure));
        self
    }

    /// Takes over what a job hands on to those that it enqueues with its completion: its trace, and
    /// (to those that join) its workflow with the workflow's subject.
    pub(crate) fn inherit(
        &mut self,
        traceparent: Option<&String>,
        workflow: Option<(Uuid, Option<&String>)>,
    ) {
        if self.traceparent.is_none() {
            self.traceparent = traceparent.cloned();
        }
        if let Some((workflow, subject)) = workflow.filter(|_| self.joins_workflow && self.workflow.is_none())
        {
            self.workflow = Some(workflow);
            self.subject = self.subject.take().or_else(|| subject.cloned());
        }
    }

    /// The name under which errors report it.
    pub(crate) fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("{} {}", self.kind, self.id))
    }
}

/// The answer for one job that was to be enqueued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enqueued {
    /// The new job, or the live one that it would have duplicated.
    pub id: Uuid,
    /// Whether the job was not stored, as it would have duplicated a live one.
    pub duplicate: bool,
}

/// The key that live jobs must not share: a hash of `key`, within its scope and tenant.
pub(crate) fn unique_key(scope: &str, tenant: Uuid, key: &str) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(scope.as_bytes());
    hash.update([0]);
    hash.update(tenant.as_bytes());
    hash.update(key.as_bytes());
    hash.finalize().to_vec()
}
