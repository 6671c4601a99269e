//! `bench`: measurements of the engine. A build without the feature `bench` makes none.

#[cfg(not(feature = "bench"))]
mod absent;
#[cfg(feature = "bench")]
mod measured;

#[cfg(not(feature = "bench"))]
pub(super) use absent::{run, run_server, run_worker};
#[cfg(feature = "bench")]
pub(super) use measured::{run, run_server, run_worker};
