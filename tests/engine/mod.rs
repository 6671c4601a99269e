//! The engine: queue and worker, on a real Postgres.

mod bulk;
mod cancel;
mod claim;
mod finish;
mod lanes;
mod life;
mod rescue;
mod time;
mod unique;
mod workflow;
