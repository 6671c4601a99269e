//! The engine: queue and worker, on a real Postgres.

mod backfill;
mod backfill_life;
mod cancel;
mod claim;
mod finish;
mod life;
mod rescue;
mod time;
mod unique;
mod workflow;
