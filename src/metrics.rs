//! What Prometheus reads of a process, whatever its role. [`http`](crate::http) adds what the
//! database knows.

mod families;
pub(crate) mod listener;
mod process;
mod text;
mod work;

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use sqlx::PgPool;
use weirgate_web::domain::DomainCounter;
use weirgate_web::traces::RequestMeter;

pub(crate) use families::Families;
pub(crate) use text::{Format, answer};
pub use work::Work;

use process::Process;
use work::Working;

type Labels<const N: usize> = [(&'static str, String); N];

/// What all names begin with.
const PREFIX: &str = "weirgate";

/// Seconds; long-polls end at 60.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 60.0];

/// The metrics of one process: a value, not a global, so that a test can hold several.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    process: Registry,
    requests: Family<Labels<3>, Counter<u64, AtomicU64>>,
    durations: Family<Labels<2>, Histogram>,
}

impl Metrics {
    /// Of a process that works with `pool`, and does `work` if it is a worker, with what its
    /// domains count.
    pub(crate) fn new(pool: PgPool, work: Option<Work>, counters: Vec<DomainCounter>) -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let requests = Family::default();
        let durations = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        registry.register("http_requests", "Answered requests", requests.clone());
        registry.register(
            "http_request_duration_seconds",
            "Time until the headers of the response",
            durations.clone(),
        );
        registry.register_collector(Box::new(Working { pool, work, counters }));
        let mut process = Registry::default();
        process.register_collector(Box::new(Process));
        Self { registry, process, requests, durations }
    }

    /// All of it, with what `more` knows, in the `OpenMetrics` text format.
    pub(crate) fn render(&self, more: Option<Box<dyn Collector>>) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        if let Some(more) = more {
            let mut registry = Registry::with_prefix(PREFIX);
            registry.register_collector(more);
            encode_registry(&mut text, &registry)?;
        }
        encode_registry(&mut text, &self.process)?;
        encode_eof(&mut text)?;
        Ok(text)
    }
}

impl RequestMeter for Metrics {
    fn observe(&self, method: &str, route: &str, status: u16, took: Duration) {
        let (method, route) = (("method", method.to_owned()), ("route", route.to_owned()));
        self.durations.get_or_create(&[method.clone(), route.clone()]).observe(took.as_secs_f64());
        self.requests.get_or_create(&[method, route, ("status", status.to_string())]).inc();
    }
}
