//! One process at work: the claim loop, the apalis adapter, the runner of a job, the lease of the
//! process, and draining.

pub mod backend;
pub mod concurrency;
pub mod drain;
pub mod host;
pub(crate) mod lease;
pub(crate) mod listener;
pub mod runner;
pub(crate) mod running;
pub(crate) mod sleeper;
pub(crate) mod slots;
