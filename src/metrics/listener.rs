//! A listener for monitoring alone: the only one a worker has, and for an API one that the outside
//! need not reach.

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use weirgate_web::connections;

use super::{Format, Metrics, answer};
use crate::config::Config;

/// Most connections; a monitoring system has one or two.
const MOST: usize = 32;

/// Opens `WEIRGATE_METRICS_LISTEN`, where it is set.
///
/// # Errors
/// When the address is taken or not this machine's.
pub(crate) async fn bind(config: &Config) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = config.metrics_listen else { return Ok(None) };
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; set WEIRGATE_METRICS_LISTEN to another address")
    })?;
    tracing::info!(address = %listener.local_addr()?, "metrics");
    Ok(Some(listener))
}

/// Serves `router` until `shutdown`; for ever nothing, where there is no listener.
pub(crate) async fn serve(listener: Option<TcpListener>, router: Router, shutdown: CancellationToken) {
    let Some(listener) = listener else { return shutdown.cancelled().await };
    let router = router.route("/health", get(async || "ok\n"));
    tokio::select! {
        () = connections::serve(listener, router, MOST, shutdown.clone()) => {}
        // A scrape that is under way is not worth a wait.
        () = shutdown.cancelled() => {}
    }
}

/// What a worker serves.
pub(crate) fn router(metrics: Metrics) -> Router {
    Router::new().route("/metrics", get(get_metrics)).with_state(Arc::new(metrics))
}

async fn get_metrics(State(metrics): State<Arc<Metrics>>, headers: HeaderMap) -> Response {
    match metrics.render(None) {
        Ok(text) => answer(Format::wanted(&headers), text),
        Err(error) => {
            tracing::error!(%error, "could not write the metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
