//! The engine: queue and worker, on a real Postgres.

mod backfill;
mod backfill_life;
mod books;
mod bulk;
mod cancel;
mod claim;
mod finish;
mod graph;
mod lanes;
mod leader;
mod life;
mod list;
mod mark;
mod meter;
mod model;
mod prune;
mod rescue;
mod resume;
mod schedule_ticks;
mod schedules;
mod time;
mod unique;
mod wake;
mod workflow;
mod workflow_races;
mod workflow_size;
