//! One file, one job; [`kinds`] is the only list of them.

use weirgate_queue::Kinds;

use crate::App;

mod compute_kpi;
mod generate_export;
mod ingest_csat;
mod ingest_security_alerts;
mod ingest_tickets;
mod ingest_time_entries;

pub use compute_kpi::{ComputeKpi, Kpis};
pub use generate_export::{Export, ExportFormat, GenerateExport};
pub use ingest_csat::IngestCsat;
pub use ingest_security_alerts::IngestSecurityAlerts;
pub use ingest_tickets::IngestTickets;
pub use ingest_time_entries::IngestTimeEntries;

/// Every kind of this domain: the only list of them.
pub fn kinds() -> Kinds<App> {
    Kinds::default()
        .with::<IngestTickets>()
        .with::<IngestTimeEntries>()
        .with::<IngestCsat>()
        .with::<IngestSecurityAlerts>()
        .with::<ComputeKpi>()
        .with::<GenerateExport>()
}
