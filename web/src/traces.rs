//! What requests tell whoever looks after the service: spans of traces, and figures.
//!
//! The service decides where these go; here they are only made at the right moments.

use std::fmt::Debug;
use std::time::Duration;

use uuid::Uuid;

/// Makes spans.
pub trait Traces: Debug + Send + Sync {
    /// A request has come, in the trace of the caller where it sent one.
    fn request(
        &self,
        caller: Option<&str>,
        method: &'static str,
        route: &str,
        request_id: &str,
    ) -> Box<dyn OpenSpan>;

    /// The request of that trace context enqueues something; jobs carry on the context of this
    /// span.
    fn enqueue(&self, traceparent: &str) -> Box<dyn OpenSpan>;
}

/// A span under way; ends when it is dropped.
pub trait OpenSpan: Send {
    /// W3C trace context with this as the parent.
    fn traceparent(&self) -> String;

    /// W3C trace id.
    fn trace_id(&self) -> String;

    /// The request was answered.
    fn answered(self: Box<Self>, status: u16);

    /// The job is stored, or a live duplicate was there.
    fn accepted(self: Box<Self>, job: Uuid, duplicate: bool);
}

/// Counts requests.
pub trait RequestMeter: Send + Sync {
    /// A request was answered.
    fn observe(&self, method: &str, route: &str, status: u16, took: Duration);
}
