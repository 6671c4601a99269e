//! What `bench` can measure: a name among these, or any in a build that measures nothing.

#[cfg(feature = "bench")]
pub use weirgate_bench::Scenario;

/// What can be measured, in a build with the feature `bench`.
#[cfg(not(feature = "bench"))]
pub type Scenario = String;
