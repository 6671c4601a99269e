//! The jobs, called without the queue.

mod backfill_days;
mod demo_kpis;
mod earlier_versions;
mod export;
mod idempotence;
mod ingest;
mod ingest_deleted;
mod ingest_live;
mod ingest_newer;
mod ingest_rejects;
mod ingest_turns;
mod ingest_upstream;
mod kpi;
mod mock_rows;
mod row_level_security;
mod schedules;
