//! A receiver of spans: OTLP over HTTP, as a collector has it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use parking_lot::Mutex;
use prost::Message;

/// A span as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) failed: bool,
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Its own, and those of what sent it.
    pub(crate) facts: BTreeMap<String, String>,
}

type Spans = Arc<Mutex<Vec<Seen>>>;

pub(crate) struct Collector {
    /// Where `OTEL_EXPORTER_OTLP_ENDPOINT` is to point.
    pub(crate) endpoint: String,
    spans: Spans,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let spans = Spans::default();
        let app = Router::new().route("/v1/traces", post(receive)).with_state(spans.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { endpoint, spans }
    }

    pub(crate) fn spans(&self) -> Vec<Seen> {
        self.spans.lock().clone()
    }

    /// Waits for the span of that name; it may take until the next batch is sent.
    pub(crate) async fn span(&self, name: &str) -> Seen {
        for _ in 0..1200 {
            if let Some(span) = self.spans().into_iter().find(|span| span.name == name) {
                return span;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("no span {name} among {:?}", self.spans());
    }
}

async fn receive(State(spans): State<Spans>, headers: HeaderMap, body: Bytes) -> Vec<u8> {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    for of_resource in request.resource_spans {
        let sender = of_resource.resource.map(|resource| resource.attributes).unwrap_or_default();
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let facts = sender.iter().chain(&span.attributes).map(fact).collect();
            let failed = span.status.is_some_and(|status| status.code() == StatusCode::Error);
            spans.lock().push(Seen {
                name: span.name,
                trace: hex::encode(span.trace_id),
                id: hex::encode(span.span_id),
                parent: hex::encode(span.parent_span_id),
                failed,
                start: span.start_time_unix_nano,
                end: span.end_time_unix_nano,
                facts,
            });
        }
    }
    ExportTraceServiceResponse::default().encode_to_vec()
}

fn fact(KeyValue { key, value, .. }: &KeyValue) -> (String, String) {
    let value = match value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(yes)) => yes.to_string(),
        other => panic!("{key} is {other:?}"),
    };
    (key.clone(), value)
}
