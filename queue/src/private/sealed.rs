//! The private argument of a job that is about to be enqueued.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::Sealing;
use crate::enqueue::NewJob;
use crate::error::{QueueError, Result};

/// The largest private argument, in bytes of JSON.
pub const MAX_BYTES: usize = 64 * 1024;

/// Where the private argument of `job` is stored.
pub(crate) fn place(job: Uuid) -> String {
    format!("queue.private_args/{job}")
}

/// A sealed value.
#[derive(Clone)]
pub(crate) struct Sealed(Arc<[u8]>);

impl Sealed {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sealed")
    }
}

impl NewJob {
    /// Gives the job a private argument beside its arguments: a value that the handler alone reads,
    /// with [`JobContext::private`](crate::JobContext::private). See [`crate::private`].
    ///
    /// # Errors
    /// [`QueueError::PrivateTooLarge`] past [`MAX_BYTES`], [`QueueError::Sealing`] where there is
    /// no key, [`QueueError::Json`] where the value is not representable as JSON.
    pub fn private<T: Serialize + ?Sized>(mut self, sealing: &dyn Sealing, value: &T) -> Result<Self> {
        let plain = serde_json::to_vec(value)?;
        if plain.len() > MAX_BYTES {
            return Err(QueueError::PrivateTooLarge { job: self.id, bytes: plain.len() });
        }
        self.private = Some(Sealed(sealing.seal(&place(self.id), &plain)?.into()));
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_what_is_sealed() {
        let sealed = Sealed(Arc::from(*b"ciphertext"));
        assert_eq!(format!("{sealed:?}"), "sealed");
    }
}
