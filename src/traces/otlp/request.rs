//! Spans of requests, and of what they enqueue.

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;
use uuid::Uuid;

use super::{OpenSpan, Traces, parent};

impl Traces {
    /// A request has come, in the trace of the caller where it sent one.
    pub(crate) fn request(
        &self,
        caller: Option<&str>,
        method: &'static str,
        route: &str,
        request_id: &str,
    ) -> OpenSpan {
        let span = self.span(format!("{method} {route}"), SpanKind::Server).with_attributes([
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.route", route.to_owned()),
            KeyValue::new("request.id", request_id.to_owned()),
        ]);
        self.begin(span, caller.and_then(parent))
    }

    /// The request of that trace context enqueues something; jobs carry on the context of this span.
    pub(crate) fn enqueue(&self, traceparent: &str) -> OpenSpan {
        self.begin(self.span("enqueue".to_owned(), SpanKind::Producer), parent(traceparent))
    }
}

impl OpenSpan {
    /// The request was answered.
    pub(crate) fn answered(mut self, status: u16) {
        self.set("http.response.status_code", i64::from(status));
        if status >= 500 {
            self.set("error.type", status.to_string());
            self.fail("");
        }
    }

    /// The job is stored, or its twin was there.
    pub(crate) fn accepted(mut self, job: Uuid, duplicate: bool) {
        self.set("job.id", job.to_string());
        self.set("job.duplicate", duplicate);
    }
}
