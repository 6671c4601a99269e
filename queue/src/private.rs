//! Private arguments: what a job must know and nobody else may see, such as names, addresses and
//! texts of people.
//!
//! A job's arguments are shown: in lists, filters and pages, to whoever may read jobs. Beside them
//! a job may have one private argument. It is encrypted before it is stored, apart from the job's
//! row, and only the job's own handler reads it:
//!
//! | step | how |
//! |---|---|
//! | enqueue | [`NewJob::private`](crate::NewJob::private) seals a value at once, so that the plain value never lives in a `NewJob` |
//! | run | [`JobContext::private`](crate::JobContext::private) reads it in the handler |
//! | end | it is deleted in the transaction that completes, cancels or deletes the job |
//! | dead letter | a discarded job keeps it, so that a retry works |
//!
//! It is in no answer, list, filter, event, log, trace or error. A failed attempt, a snooze, a
//! rescue and a hand-back keep it. Of two jobs with the same unique key the second is not stored,
//! and neither is its private argument: uniqueness is by the arguments that are shown.
//!
//! A **cancelled** job has lost its private argument, also one that was cancelled since a job that
//! it depended on failed. Such a job cannot be retried: [`control::retry`](crate::control::retry)
//! refuses it, a bulk retry counts it as skipped, and a retry of the failed parent leaves it
//! cancelled. Enqueue it anew.
//!
//! # The key
//!
//! The engine knows no key. The program brings a [`Sealing`], and gives it to whoever seals and to
//! the workers ([`WorkerConfig::sealing`](crate::WorkerConfig)). `examples/private_arguments.rs`
//! has a whole one. Where the key changes, [`reseal`] seals what is stored anew.

mod reseal;
pub(crate) mod sealed;
mod sealing;
pub(crate) mod store;

pub use reseal::{Resealed, reseal};
pub use sealed::MAX_BYTES;
pub use sealing::{Sealing, SealingError};
pub use store::{any, beginnings};
