//! The private argument of a job, as its handler reads it.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::job::{JobContext, JobError};
use crate::private::sealed::place;
use crate::private::store::{self, Stored};
use crate::private::{Sealing, SealingError};

/// A private argument in plain, which a test gives a handler.
pub(super) struct Plain(Vec<u8>);

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("private")
    }
}

impl<A> JobContext<A> {
    /// The private argument that the job was enqueued with
    /// ([`NewJob::private`](crate::NewJob::private)).
    ///
    /// # Errors
    /// None of them says anything of the value.
    ///
    /// | code | when | the job |
    /// |---|---|---|
    /// | `private_absent` | it was enqueued without one | is discarded |
    /// | `private_deleted` | somebody has deleted it, or ended the job meanwhile | is discarded |
    /// | `private_no_key` | this worker has no [`Sealing`], or that has no key | is retried |
    /// | `private_unknown_key` | it was sealed with a key that this worker does not have | is retried |
    /// | `private_damaged` | it cannot be opened | is discarded |
    /// | `private_unexpected` | it is no `T` | is discarded |
    pub async fn private<T: DeserializeOwned>(&self) -> Result<T, JobError> {
        let plain = match (&self.plain, &self.run) {
            (Some(Plain(plain)), _) => plain.clone(),
            (None, None) => return Err(absent()),
            (None, Some(run)) => match store::read(&self.pool, run.seq).await? {
                Stored::None => return Err(absent()),
                Stored::Deleted => {
                    let why = "the private argument of the job was deleted; enqueue the job anew";
                    return Err(JobError::discard("private_deleted", why));
                }
                Stored::Sealed(sealed) => {
                    let sealing = self.sealing.as_deref().ok_or(SealingError::NoKey).map_err(not_opened)?;
                    sealing.open(&place(run.job), &sealed).map_err(not_opened)?
                }
            },
        };
        // The error's own text may quote the value.
        serde_json::from_slice(&plain).map_err(|error| {
            let what = std::any::type_name::<T>();
            let column = error.column();
            let why = format!(
                "the private argument of the job is no {what}: column {column} of its JSON is not what was expected; \
                 compare what enqueues the job with what its handler reads"
            );
            JobError::discard("private_unexpected", why)
        })
    }

    /// Seals the private argument of a job that this one enqueues, by [`JobContext::then`] or
    /// otherwise.
    ///
    /// # Errors
    /// `private_no_key` when this worker has none.
    pub fn sealing(&self) -> Result<&dyn Sealing, JobError> {
        self.sealing.as_deref().ok_or(SealingError::NoKey).map_err(not_opened)
    }

    /// Gives the handler the means to seal, as a worker's configuration does: for tests and tools
    /// that call it in a [`detached`](Self::detached) context.
    #[must_use]
    pub fn with_sealing(mut self, sealing: Arc<dyn Sealing>) -> Self {
        self.sealing = Some(sealing);
        self
    }

    /// Gives the handler a private argument, which is stored nowhere: for tests and tools that call
    /// it in a [`detached`](Self::detached) context.
    ///
    /// # Panics
    /// When the value is not representable as JSON.
    #[must_use]
    pub fn with_private<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        self.plain = Some(Plain(serde_json::to_vec(value).expect("it is representable as JSON")));
        self
    }
}

fn absent() -> JobError {
    let why = "the job was enqueued without the private argument that its handler needs; \
        whoever enqueues it has to give it one with NewJob::private";
    JobError::discard("private_absent", why)
}

/// What it means for an attempt that a value cannot be opened. Another worker, or this one once it
/// has the key, may open it: that is tried again.
fn not_opened(error: SealingError) -> JobError {
    match error {
        SealingError::NoKey => JobError::failed("private_no_key", error),
        SealingError::UnknownKey(_) => JobError::failed("private_unknown_key", error),
        SealingError::Damaged => JobError::discard("private_damaged", error),
    }
}
