//! What Weirgate runs. One file a job; [`kinds`] is the only list of them.

mod app;
mod backfill_days;
mod backfills;
mod bulk_jobs;
mod compute_kpi;
mod daily_pipeline;
mod export_content;
mod export_file;
mod generate_export;
mod ingest;
mod ingest_count;
mod ingest_csat;
mod ingest_security_alerts;
mod ingest_seen;
mod ingest_tally;
mod ingest_tickets;
mod ingest_time_entries;
mod ingest_turn;
mod ingest_wait;
pub mod rejects;
mod schedules;
pub mod sources;
mod tls;
mod workflow_retry;

use std::sync::Arc;

use weirgate_queue::{Kinds, Registry};

pub use app::App;
pub use backfill_days::{BackfillDays, SliceJob, TenantDays};
pub use backfills::{BackfillKind, BackfillOrder, BackfillRange, DailySlices, Reprocess};
pub use bulk_jobs::{BulkDone, BulkJobs, BulkRefused};
pub use compute_kpi::{ComputeKpi, Kpis};
pub use daily_pipeline::{DailyPipeline, enqueue_daily_pipeline};
pub use generate_export::{Export, ExportFormat, GenerateExport};
pub use ingest::Ingested;
pub use ingest_count::ingested_rows;
pub use ingest_csat::IngestCsat;
pub use ingest_security_alerts::IngestSecurityAlerts;
pub use ingest_tickets::IngestTickets;
pub use ingest_time_entries::IngestTimeEntries;
pub use schedules::schedules;
pub use tls::{http_client, provide_tls};
pub use workflow_retry::{WorkflowRetry, retry_failed};

/// Every job there is, to be run.
pub fn registry(app: Arc<App>) -> Registry<App> {
    kinds().run_with(app).with_slices(Arc::new(DailySlices))
}

/// Every job there is: the only list of them.
pub fn kinds() -> Kinds<App> {
    Kinds::default()
        .with::<IngestTickets>()
        .with::<IngestTimeEntries>()
        .with::<IngestCsat>()
        .with::<IngestSecurityAlerts>()
        .with::<ComputeKpi>()
        .with::<GenerateExport>()
        .with::<BulkJobs>()
}
