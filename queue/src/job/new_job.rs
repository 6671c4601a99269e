//! From a job's struct to the row that is enqueued. It stands beside the trait [`Job`], so that
//! `enqueue` does not depend on it.

use std::borrow::Cow;

use az::SaturatingAs;
use uuid::Uuid;

use crate::enqueue::new_job::{NewJob, unique_key};
use crate::error::Result;
use crate::job::Job;

impl NewJob {
    /// A job of kind `J` for `tenant`. While it is not final, a second one of the same kind, tenant
    /// and arguments is not stored ([`NewJob::not_unique`] and [`NewJob::unique_by`] change that).
    ///
    /// # Errors
    /// When the arguments are not representable as JSON.
    pub fn of<J: Job>(tenant: Uuid, job: &J) -> Result<Self> {
        let args = serde_json::to_value(job)?;
        // serde_json sorts its maps by key, so that equal arguments have equal texts.
        let unique_key = Some(unique_key(J::KIND, tenant, &args.to_string()));
        Ok(Self {
            id: Uuid::now_v7(),
            tenant,
            queue: Cow::Borrowed(J::QUEUE),
            kind: Cow::Borrowed(J::KIND),
            args,
            priority: 0,
            max_attempts: J::MAX_ATTEMPTS.saturating_as::<i16>(),
            run_at: None,
            delay_s: 0.0,
            unique_key,
            workflow: None,
            backfill: None,
            joins_workflow: false,
            name: None,
            subject: job.subject(),
            title: None,
            traceparent: None,
            enqueued_by: None,
            parents: Vec::new(),
            private: None,
        })
    }
}
