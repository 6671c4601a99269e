//! What there is of traces in a build without them: nothing can be made of these types.

use std::convert::Infallible;
use std::sync::Arc;

use weirgate_queue::telemetry::trace::Tracer;
use weirgate_web::traces::OpenSpan;

use super::Role;
use crate::config::Config;

/// Makes spans, in a build with the feature `otlp`.
#[derive(Debug, Clone)]
pub struct Traces(Infallible);

impl Traces {
    /// None in this build; where an endpoint is set, a warning says so.
    ///
    /// # Errors
    /// None.
    pub fn start(config: &Config, _: Role) -> anyhow::Result<Option<Self>> {
        if let Some(endpoint) = &config.otlp_endpoint {
            tracing::warn!(
                endpoint,
                "this build sends no traces: build it with `--features otlp` or `--features full`, as images are"
            );
        }
        Ok(None)
    }

    /// What a worker tells of its runs.
    pub fn of_runs(&self) -> Arc<dyn Tracer> {
        match self.0 {}
    }

    /// Sends what is left.
    #[expect(clippy::unused_async, reason = "it waits where there are traces")]
    pub async fn close(self) {
        match self.0 {}
    }
}

impl weirgate_web::traces::Traces for Traces {
    fn request(&self, _: Option<&str>, _: &'static str, _: &str, _: &str) -> Box<dyn OpenSpan> {
        match self.0 {}
    }

    fn enqueue(&self, _: &str) -> Box<dyn OpenSpan> {
        match self.0 {}
    }
}
