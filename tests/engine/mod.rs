//! The engine: queue and worker, on a real Postgres.

mod cancel;
mod claim;
mod finish;
mod lanes;
mod life;
mod model;
mod rescue;
mod time;
mod unique;
mod workflow;
