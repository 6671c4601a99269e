//! What Weirgate runs. One file a job; [`registry`] is the only list of them.

mod app;
mod backfills;
mod compute_kpi;
mod daily_pipeline;
mod export_content;
mod export_file;
mod generate_export;
mod ingest;
mod ingest_csat;
mod ingest_security_alerts;
mod ingest_tickets;
mod ingest_time_entries;
pub mod sources;
mod tenant;

use std::sync::Arc;

use weirgate_queue::Registry;

pub use app::App;
pub use backfills::{BackfillKind, BackfillOrder, BackfillRange, DailySlices, Reprocess};
pub use compute_kpi::{ComputeKpi, Kpis};
pub use daily_pipeline::{DailyPipeline, enqueue_daily_pipeline};
pub use generate_export::{Export, ExportFormat, GenerateExport};
pub use ingest::Ingested;
pub use ingest_csat::IngestCsat;
pub use ingest_security_alerts::IngestSecurityAlerts;
pub use ingest_tickets::IngestTickets;
pub use ingest_time_entries::IngestTimeEntries;
pub use tenant::{Tenant, TenantSlug, TenantsError};

/// Every job there is.
pub fn registry(app: Arc<App>) -> Registry<App> {
    Registry::new(app)
        .with::<IngestTickets>()
        .with::<IngestTimeEntries>()
        .with::<IngestCsat>()
        .with::<IngestSecurityAlerts>()
        .with::<ComputeKpi>()
        .with::<GenerateExport>()
        .with_slices(Arc::new(DailySlices))
}
