//! MSP analytics over HTTP: its jobs are asked for under `/internal`, what they made is read under
//! both surfaces. Nothing here imports the service.

mod internal;
mod openapi;
pub(crate) mod pages;
mod v1;

use axum::Extension;
use axum::extract::FromRef;
use axum::middleware::from_fn;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weirgate_web::client_address::TrustedProxies;
use weirgate_web::extract::AlsoNamed;
use weirgate_web::parts::Parts;
use weirgate_web::reads::Reads;
use weirgate_web::scoped::scoped;
use weirgate_web::{Web, accept};

use crate::scopes::{ALERTS, CSAT, EXPORTS, KPIS, TICKETS, TIME_ENTRIES};

pub use v1::exports::ExportFiles;
pub use v1::kpis::{DailyKpis, MOST_DAYS};

/// What the paths of this domain name.
const NAMED: AlsoNamed = AlsoNamed(&[
    ("exports", "unknown_export", "Unknown export"),
    ("tickets", "unknown_ticket", "Unknown ticket"),
]);

/// Its routes under `/internal`.
pub(crate) fn internal<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Web: FromRef<S>,
    Reads: FromRef<S>,
    TrustedProxies: FromRef<S>,
    Parts: FromRef<S>,
{
    OpenApiRouter::with_openapi(openapi::Document::openapi())
        .routes(routes!(internal::ingest::ingest_dataset))
        .routes(routes!(internal::kpi::compute_daily_kpi))
        .routes(routes!(internal::exports::generate_export))
        .routes(routes!(internal::pipelines::run_daily_pipeline))
        .routes(routes!(internal::rejects::list_rejects))
        .route_layer(from_fn(accept::refuse_csv))
        // Tables, and files of either kind.
        .routes(routes!(internal::results::list_daily_kpis))
        .routes(routes!(internal::results::download_export))
        .route_layer(Extension(NAMED))
}

/// Its routes under `/v1`.
pub(crate) fn v1<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Web: FromRef<S>,
    Reads: FromRef<S>,
    Parts: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(scoped(TICKETS, routes!(v1::tickets::get_ticket)))
        .routes(scoped(TICKETS, routes!(v1::ticket_summary::get_ticket_summary)))
        .routes(scoped(EXPORTS, routes!(v1::exports::get_export)))
        .route_layer(from_fn(accept::refuse_csv))
        // Tables, and files of either kind.
        .routes(scoped(KPIS, routes!(v1::kpis::list_daily_kpis)))
        .routes(scoped(TICKETS, routes!(v1::tickets::list_tickets)))
        .routes(scoped(TIME_ENTRIES, routes!(v1::time_entries::list_time_entries)))
        .routes(scoped(CSAT, routes!(v1::csat::list_csat)))
        .routes(scoped(ALERTS, routes!(v1::security_alerts::list_security_alerts)))
        .routes(scoped(EXPORTS, routes!(v1::exports::list_exports)))
        .routes(scoped(EXPORTS, routes!(v1::exports::download_export)))
        .route_layer(Extension(NAMED))
}
