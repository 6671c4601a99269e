//! Its pages of the dashboard, below `/dashboard`, each with its template beside it.

mod additions;
mod attention;
mod kpis;
mod last_days;
mod links;
mod missing_days;
mod rejects;
mod sources;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::get;
use weirgate_web::Web;
use weirgate_web::dashboard::navigation::DomainEntry;
use weirgate_web::dashboard::state::Dashboard;

pub(crate) use additions::OfSourcesAndKpis;

/// Where the navigation leads to them.
pub(crate) fn navigation() -> Vec<DomainEntry> {
    vec![
        DomainEntry { name: "Rejects", path: "/rejects", after: "/failures" },
        DomainEntry { name: "KPIs", path: "/kpis", after: "/schedules" },
    ]
}

/// Every page.
pub(crate) fn pages<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Web: FromRef<S>,
    Dashboard: FromRef<S>,
{
    Router::new().route("/rejects", get(rejects::list)).route("/kpis", get(kpis::show))
}
