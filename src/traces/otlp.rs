//! Spans, sent in batches over OTLP.

mod request;
mod run;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context as _;
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
    TraceState, Tracer as _, TracerProvider,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};
use weirgate_queue::telemetry::trace::Tracer;
use weirgate_web::tls::provide_tls;

use super::Role;
use crate::config::Config;

/// Makes spans and sends them in batches. Cheap to clone.
#[derive(Clone)]
pub struct Traces {
    tracer: SdkTracer,
    provider: SdkTracerProvider,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").finish_non_exhaustive()
    }
}

impl Traces {
    /// None where no endpoint is set.
    ///
    /// # Errors
    /// When one of OpenTelemetry's own settings is wrong.
    pub fn start(config: &Config, role: Role) -> anyhow::Result<Option<Self>> {
        let Some(endpoint) = &config.otlp_endpoint else { return Ok(None) };
        provide_tls();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint)
            .build()
            .context("OpenTelemetry's settings")?;
        let role = match role {
            Role::Api => "api",
            Role::Worker => "worker",
        };
        let resource = Resource::builder()
            .with_service_name(config.service_name.clone())
            .with_attributes([
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("host.name", host_name()),
                KeyValue::new("weirgate.role", role),
            ])
            .build();
        tracing::info!(endpoint, "sending traces");
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        Ok(Some(Self { tracer: provider.tracer("weirgate"), provider }))
    }

    /// What a worker tells of its runs.
    pub fn of_runs(&self) -> Arc<dyn Tracer> {
        Arc::new(self.clone())
    }

    /// Sends what is left; waits for it no longer than a few seconds.
    pub async fn close(self) {
        // It blocks.
        let closed = tokio::task::spawn_blocking(move || self.provider.shutdown()).await;
        if let Ok(Err(error)) = closed {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }

    fn span(&self, name: String, kind: SpanKind) -> SpanBuilder {
        self.tracer.span_builder(name).with_kind(kind)
    }

    fn begin(&self, span: SpanBuilder, parent: Option<Context>) -> OpenSpan {
        // No ambient one: what runs at once on a thread is unrelated.
        OpenSpan(self.tracer.build_with_context(span, &parent.unwrap_or_default()))
    }
}

/// A span under way; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct OpenSpan(Span);

impl OpenSpan {
    /// W3C trace context with this as the parent.
    pub(crate) fn traceparent(&self) -> String {
        let context = self.0.span_context();
        format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags().to_u8())
    }

    /// W3C trace id.
    pub(crate) fn trace_id(&self) -> String {
        self.0.span_context().trace_id().to_string()
    }

    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.set_attribute(KeyValue::new(name, value));
    }

    pub(crate) fn fail(&mut self, message: impl Into<std::borrow::Cow<'static, str>>) {
        self.0.set_status(Status::error(message));
    }
}

/// The context whose child a span is to be; none for what is no W3C `traceparent`.
fn parent(traceparent: &str) -> Option<Context> {
    let mut parts = traceparent.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
    remote(trace, span, TraceFlags::new(flags) & TraceFlags::SAMPLED)
}

fn remote(trace: TraceId, span: SpanId, flags: TraceFlags) -> Option<Context> {
    let parent = SpanContext::new(trace, span, flags, true, TraceState::default());
    parent.is_valid().then(|| Context::new().with_remote_span_context(parent))
}

#[expect(clippy::disallowed_methods, reason = "spans are on the clock of the machine that makes them")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_what_the_header_says() {
        let context = parent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        let span = context.span().span_context().clone();
        assert_eq!(span.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(span.span_id().to_string(), "00f067aa0ba902b7");
        assert!(span.is_sampled() && span.is_remote());
        let unsampled = parent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00").unwrap();
        assert!(!unsampled.span().span_context().is_sampled());
        for bad in ["", "00", "00-0-0-01", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"] {
            assert!(parent(bad).is_none(), "{bad}");
        }
    }
}
