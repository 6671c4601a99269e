//! What the work came to: counters of a process, rollups of all of them, failures by what they have
//! in common, and traces.

pub mod failures;
pub mod meter;
pub mod pulse;
pub mod trace;
