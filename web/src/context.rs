//! What every handler may know of its request: its id, its trace, its absolute URL.

use std::collections::HashSet;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Uri};
use uuid::Uuid;

use crate::base_url::BaseUrl;
use crate::params::is_blank;
use crate::problem::Problem;
use crate::traces::OpenSpan;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// One request's identity.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The caller's `X-Request-Id`, or one made here.
    pub request_id: String,
    /// W3C trace id.
    pub trace_id: String,
    /// W3C trace context with this request as the parent.
    pub traceparent: String,
    /// Scheme and host that this service is reached under, without a slash at the end.
    pub base: String,
    /// W3C trace context that the caller sent.
    pub caller: Option<String>,
    uri: Uri,
}

impl RequestContext {
    pub fn of(request: &Request, base: &BaseUrl) -> Self {
        let headers = request.headers();
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let trace = Trace::of(headers);
        Self {
            request_id: request_id(headers),
            traceparent: format!("00-{}-{}-{}", trace.id, new_span_id(), trace.flags),
            trace_id: trace.id,
            base: base.of(headers, request.uri(), peer.map(|ConnectInfo(peer)| peer.ip())),
            caller: trace.caller,
            uri: request.uri().clone(),
        }
    }

    /// The request has a span of its own.
    pub fn join(&mut self, span: &dyn OpenSpan) {
        (self.trace_id, self.traceparent) = (span.trace_id(), span.traceparent());
    }

    /// An absolute URL of a path here.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// As if the request were for `path`, without a query: for answers with another resource than
    /// the request's.
    #[must_use]
    pub fn at(&self, path: &str) -> Self {
        Self { uri: path.parse().unwrap_or_else(|_| self.uri.clone()), ..self.clone() }
    }

    /// This request's absolute URL with another cursor. Whoever adds the same parameters to each
    /// page's URL does not make it longer.
    pub fn url_with_cursor(&self, cursor: &str) -> String {
        let pairs = form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes());
        let mut met = HashSet::new();
        let pairs = pairs.filter(|(name, value)| name != "cursor" && !is_blank(value));
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs.filter(|pair| met.insert(pair.clone())))
            .append_pair("cursor", cursor)
            .finish();
        format!("{}{}?{query}", self.base, self.uri.path())
    }
}

impl<S: Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::internal)
    }
}

fn request_id(headers: &HeaderMap) -> String {
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()))
        .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

struct Trace {
    id: String,
    flags: String,
    /// The caller's whole context, where it sent one.
    caller: Option<String>,
}

impl Trace {
    /// The trace of the caller, or a new one where it sent none or a bad one.
    fn of(headers: &HeaderMap) -> Self {
        headers.get(TRACEPARENT).and_then(|value| value.to_str().ok()).and_then(Self::parse).unwrap_or_else(
            || Self { id: Uuid::now_v7().simple().to_string(), flags: "01".to_owned(), caller: None },
        )
    }

    /// <https://www.w3.org/TR/trace-context/#traceparent-header>
    fn parse(text: &str) -> Option<Self> {
        let lower_hex = |part: &str, length: usize| {
            part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let mut parts = text.split('-');
        let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let valid = lower_hex(version, 2)
            && version != "ff"
            // Only a version after 00 may have more parts.
            && (version != "00" || parts.next().is_none())
            && lower_hex(id, 32)
            && id.bytes().any(|byte| byte != b'0')
            && lower_hex(parent, 16)
            && parent.bytes().any(|byte| byte != b'0')
            && lower_hex(flags, 2);
        valid.then(|| Self {
            id: id.to_owned(),
            flags: flags.to_owned(),
            caller: Some(format!("00-{id}-{parent}-{flags}")),
        })
    }
}

fn new_span_id() -> String {
    // The second half of a UUIDv7 is random.
    hex::encode(&Uuid::now_v7().as_bytes()[8..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparents() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(Trace::parse(good).unwrap().id, "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(Trace::parse(&good.replacen("00", "cc", 1)).is_some());
        assert!(Trace::parse(&format!("{}-more", good.replacen("00", "01", 1))).is_some());
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert!(Trace::parse(bad).is_none(), "{bad}");
        }
    }
}
