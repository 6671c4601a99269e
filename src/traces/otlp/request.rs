//! Spans of requests, and of what they enqueue.

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;
use uuid::Uuid;

use weirgate_web::traces;

use super::{OpenSpan, Traces, parent};

impl traces::Traces for Traces {
    fn request(
        &self,
        caller: Option<&str>,
        method: &'static str,
        route: &str,
        request_id: &str,
    ) -> Box<dyn traces::OpenSpan> {
        let span = self.span(format!("{method} {route}"), SpanKind::Server).with_attributes([
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.route", route.to_owned()),
            KeyValue::new("request.id", request_id.to_owned()),
        ]);
        Box::new(self.begin(span, caller.and_then(parent)))
    }

    fn enqueue(&self, traceparent: &str) -> Box<dyn traces::OpenSpan> {
        Box::new(self.begin(self.span("enqueue".to_owned(), SpanKind::Producer), parent(traceparent)))
    }
}

impl traces::OpenSpan for OpenSpan {
    fn traceparent(&self) -> String {
        Self::traceparent(self)
    }

    fn trace_id(&self) -> String {
        Self::trace_id(self)
    }

    fn answered(mut self: Box<Self>, status: u16) {
        self.set("http.response.status_code", i64::from(status));
        if status >= 500 {
            self.set("error.type", status.to_string());
            self.fail("");
        }
    }

    fn accepted(mut self: Box<Self>, job: Uuid, duplicate: bool) {
        self.set("job.id", job.to_string());
        self.set("job.duplicate", duplicate);
    }
}
