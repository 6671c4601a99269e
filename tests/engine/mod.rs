//! The engine: queue and worker, on a real Postgres.

mod books;
mod cancel;
mod claim;
mod finish;
mod lanes;
mod life;
mod rescue;
mod time;
mod unique;
mod workflow;
