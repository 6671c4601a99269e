//! Spans of a job's attempt: its wait, its claim, its run.

use std::time::SystemTime;

use opentelemetry::trace::{Span as _, SpanId, SpanKind, TraceFlags, TraceId};
use opentelemetry::{Context, KeyValue};
use uuid::Uuid;
use weirgate_queue::telemetry::trace::{RunSpan, TracedRun, Tracer};
use weirgate_queue::worker::Outcome;

use super::{OpenSpan, Traces, now, parent, remote};

impl Tracer for Traces {
    fn begin(&self, start: &TracedRun<'_>) -> Box<dyn RunSpan> {
        let job = start.job;
        let context = job.run.traceparent.as_deref().and_then(parent).or_else(|| of_its_own(job.run.job));
        let waited = (job.run.at - job.due).to_std().unwrap_or_default();
        // Lengths are exact, each by one clock; where they lie is by this machine's.
        let begun = now();
        let claimed = begun - start.claimed.elapsed();
        let due = claimed - waited;
        let span = |name: &str, kind, from| {
            self.span(format!("{name} {}", job.kind), kind)
                .with_start_time(from)
                .with_attributes(facts(start))
        };
        let mut run = Traces::begin(self, span("run", SpanKind::Consumer, begun), context.clone());
        if run.0.is_recording() {
            run.set("job.wait_ms", waited.as_secs_f64() * 1000.0);
            self.past(span("wait", SpanKind::Internal, due), context.clone(), claimed);
            self.past(span("claim", SpanKind::Internal, claimed), context, begun);
        }
        Box::new(run)
    }
}

impl Traces {
    fn past(&self, span: opentelemetry::trace::SpanBuilder, context: Option<Context>, end: SystemTime) {
        Traces::begin(self, span, context).0.end_with_timestamp(end);
    }
}

/// What every span of an attempt says.
fn facts(start: &TracedRun<'_>) -> [KeyValue; 5] {
    let job = start.job;
    [
        KeyValue::new("job.id", job.run.job.to_string()),
        KeyValue::new("job.kind", job.kind.clone()),
        KeyValue::new("job.queue", start.queue.to_owned()),
        KeyValue::new("job.attempt", i64::from(job.run.attempt)),
        KeyValue::new("tenant.id", job.run.tenant.to_string()),
    ]
}

/// The trace of a job that no request enqueued, the same for each of its attempts: its id is the
/// job's.
fn of_its_own(job: Uuid) -> Option<Context> {
    let bytes = job.as_bytes();
    let second = bytes[8..].try_into().ok()?;
    remote(TraceId::from_bytes(*bytes), SpanId::from_bytes(second), TraceFlags::SAMPLED)
}

impl RunSpan for OpenSpan {
    fn traceparent(&self) -> String {
        Self::traceparent(self)
    }

    fn end(mut self: Box<Self>, outcome: &Outcome) {
        self.set("job.outcome", outcome.name());
        if let Outcome::Retry { code, message, .. } | Outcome::Discarded { code, message } = outcome {
            self.set("error.type", code.clone());
            self.fail(message.clone());
        }
    }
}
