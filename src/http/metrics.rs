//! What Prometheus reads. The registry belongs to one [`Api`](super::Api), so that a process can hold several.

use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use sqlx::PgPool;

use crate::http::Api;
use crate::http::problem::Problem;

type Labels<const N: usize> = [(&'static str, String); N];

/// Seconds; long-polls end at 60.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 60.0];

#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Labels<3>, Counter>,
    durations: Family<Labels<2>, Histogram>,
    connections: Family<Labels<1>, Gauge>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("weirgate");
        let requests = Family::default();
        let durations = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        let connections = Family::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register(
            "http_request_duration_seconds",
            "Time until the head of the answer",
            durations.clone(),
        );
        registry.register(
            "db_connections",
            "Connections of this process's pool: used, idle, and the most it may open",
            connections.clone(),
        );
        Self { registry, requests, durations, connections }
    }

    pub(crate) fn observe(&self, method: &str, route: &str, status: u16, took: Duration) {
        let (method, route) = (("method", method.to_owned()), ("route", route.to_owned()));
        self.durations.get_or_create(&[method.clone(), route.clone()]).observe(took.as_secs_f64());
        self.requests.get_or_create(&[method, route, ("status", status.to_string())]).inc();
    }

    fn render(&self, pool: &PgPool) -> Result<String, std::fmt::Error> {
        let idle = i64::try_from(pool.num_idle()).unwrap_or(i64::MAX);
        for (state, count) in [
            ("idle", idle),
            ("used", (i64::from(pool.size()) - idle).max(0)),
            ("max", i64::from(pool.options().get_max_connections())),
        ] {
            self.connections.get_or_create(&[("state", state.to_owned())]).set(count);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Metrics of this process, in the `OpenMetrics` text format.
#[utoipa::path(
    get, path = "/metrics", tag = "Operation",
    responses((status = 200, description = "Metrics", content_type = "application/openmetrics-text", body = String))
)]
pub(crate) async fn get_metrics(State(api): State<Api>) -> Result<impl IntoResponse, Problem> {
    let text = api.metrics.render(&api.pool).map_err(|error| {
        tracing::error!(%error, "could not write the metrics");
        Problem::internal()
    })?;
    Ok(([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text))
}
