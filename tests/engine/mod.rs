//! The engine: queue and worker, on a real Postgres.

mod bulk;
mod cancel;
mod claim;
mod finish;
mod graph;
mod lanes;
mod life;
mod rescue;
mod resume;
mod time;
mod unique;
mod workflow;
mod workflow_races;
