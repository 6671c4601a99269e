//! Analytics for managed service providers: tickets, time entries, surveys and security alerts are
//! ingested, KPIs computed from them, and days exported. One file a job, in `jobs/`; one resource a
//! file, in `http/`.

mod app;
mod backfill;
mod daily_pipeline;
mod domain;
mod http;
mod ingest;
mod jobs;
pub mod mock_data;
pub mod rejects;
mod roles;
mod schedules;
mod scopes;
mod settings;
pub mod sources;

use std::sync::Arc;

use weirgate_queue::Registry;

pub use app::App;
pub use backfill::{BackfillKind, DailySlices};
pub use daily_pipeline::{DailyPipeline, enqueue_daily_pipeline};
pub use domain::{NAME, domain};
pub use http::{DailyKpis, ExportFiles, MOST_DAYS};
pub use ingest::Ingested;
pub use jobs::{
    ComputeKpi, Export, ExportFormat, GenerateExport, IngestCsat, IngestSecurityAlerts, IngestTickets,
    IngestTimeEntries, Kpis, kinds,
};
pub use roles::ROLES;
pub use schedules::schedules;
pub use settings::{SourceSettings, export_store, handler_parts};

/// The history of the schema `msp`. It builds on `queue` and `identity`.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/msp");

/// Every job there is, to be run.
pub fn registry(app: Arc<App>) -> Registry {
    kinds().run_with(app).with_slices(Arc::new(DailySlices))
}
