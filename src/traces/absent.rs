//! What there is of traces in a build without them: nothing can be made of these types.

use std::convert::Infallible;
use std::sync::Arc;

use uuid::Uuid;
use weirgate_queue::telemetry::trace::Tracer;

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

    pub(crate) fn request(&self, _: Option<&str>, _: &'static str, _: &str, _: &str) -> OpenSpan {
        match self.0 {}
    }

    pub(crate) fn enqueue(&self, _: &str) -> OpenSpan {
        match self.0 {}
    }
}

/// A span under way.
#[derive(Debug)]
pub(crate) struct OpenSpan(Infallible);

impl OpenSpan {
    pub(crate) fn traceparent(&self) -> String {
        match self.0 {}
    }

    pub(crate) fn trace_id(&self) -> String {
        match self.0 {}
    }

    pub(crate) fn answered(self, _: u16) {
        match self.0 {}
    }

    pub(crate) fn accepted(self, _: Uuid, _: bool) {
        match self.0 {}
    }
}
