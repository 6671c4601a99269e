//! The jobs, called without the queue.

mod backfill_days;
mod days;
mod demo_kpis;
mod export;
mod idempotence;
mod ingest;
mod ingest_turns;
mod kpi;
mod mock_rows;
mod row_level_security;
mod schedules;
mod tenants;
