//! The engine on a real Postgres, with its own migrations alone. One binary for all these tests; it
//! starts a server of its own.

mod backfill;
mod backfill_life;
mod backfill_tenants;
mod bulk;
mod cancel;
mod claim;
mod counts;
mod failures;
mod final_hook;
mod finish;
mod graph;
mod handover;
mod history;
mod lanes;
mod leader;
mod life;
mod list;
mod meter;
mod model;
mod outcomes;
mod persist_running;
mod private;
mod prune;
mod rescue;
mod rollups;
mod schedule_ticks;
mod schedules;
mod time;
mod unique;
mod views;
mod wake;
mod workflow;
mod workflow_races;
mod workflow_retry;
mod workflow_size;
