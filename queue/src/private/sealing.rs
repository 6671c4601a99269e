//! How the application encrypts.

use std::fmt;

/// Encrypts and decrypts with a key of the application.
///
/// `place` says where a value is stored. An implementation authenticates it together with the value
/// and does not store it, so that a value which somebody has moved to another place cannot be
/// opened. The place of a job's private argument is `queue.private_args/<id of the job>`.
///
/// Whatever is sealed names the key that it was sealed with, so that several keys can be read while
/// one takes the place of another. `Debug` must show no key.
pub trait Sealing: fmt::Debug + Send + Sync {
    /// Encrypts `plain` with the present key.
    ///
    /// # Errors
    /// [`SealingError::NoKey`].
    fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, SealingError>;

    /// Decrypts what [`seal`](Self::seal) returned for the same place, with the present key or with
    /// one that is still read.
    ///
    /// # Errors
    /// [`SealingError`].
    fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, SealingError>;

    /// Whether `sealed` was sealed with the present key.
    fn is_current(&self, sealed: &[u8]) -> bool;
}

/// Why a value could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealingError {
    /// The program was started without a key.
    #[error("this process has no key to encrypt and decrypt with; give it the key and start it again")]
    NoKey,
    /// The value was sealed with a key that this process was not given. Holds what the
    /// implementation calls that key.
    #[error(
        "the value was encrypted with the key {0}, which this process does not have; give it that key as an old one"
    )]
    UnknownKey(String),
    /// The value is not what was sealed for this place.
    #[error("the encrypted value is damaged, or belongs to another place")]
    Damaged,
}
