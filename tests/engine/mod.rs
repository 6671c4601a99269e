//! The engine: queue and worker, on a real Postgres.

mod cancel;
mod claim;
mod finish;
mod leader;
mod life;
mod prune;
mod rescue;
mod schedule_ticks;
mod schedules;
mod time;
mod unique;
mod workflow;
