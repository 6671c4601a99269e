//! `/metrics`: what this process does, and what the database knows of the queues.

mod database;
mod facts;
mod latest;
mod page;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use page::Page;
use weirgate_web::problem::Problem;

use crate::http::Api;
use crate::metrics::{Format, answer};

pub(crate) use latest::LatestFacts;

/// Metrics of this process and the queues; with `Accept: application/openmetrics-text` in that
/// format.
///
/// Nothing in it names a tenant; what does is served on `WEIRGATE_METRICS_LISTEN` alone.
#[utoipa::path(
    get, path = "/metrics", tag = "Operation",
    responses((status = 200, description = "Metrics", content(
        (String = "text/plain"),
        (String = "application/openmetrics-text")
    )))
)]
pub(crate) async fn get_metrics(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Problem> {
    respond(&api, &headers, false).await
}

/// What is served on the listener for monitoring: the same with the lanes of the tenants that have
/// the most to do.
pub fn monitoring_router(api: Api) -> Router {
    Router::new().route("/metrics", get(get_all_metrics)).with_state(api)
}

async fn get_all_metrics(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Problem> {
    respond(&api, &headers, true).await
}

async fn respond(api: &Api, headers: &HeaderMap, names_tenants: bool) -> Result<Response, Problem> {
    let facts = api.latest.facts(&api.web, &api.catalog).await;
    let text = api
        .metrics
        .render(Some(Box::new(Page { facts, catalog: api.catalog.clone(), names_tenants })))
        .map_err(|error| {
            tracing::error!(%error, "could not write the metrics");
            Problem::internal()
        })?;
    Ok(answer(Format::wanted(headers), text))
}
