//! Around every request: its id and trace, its log line, its metrics, the headers every answer
//! carries.

use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use crate::connections::Reserved;
use crate::context::{REQUEST_ID, RequestContext};
use crate::params;
use crate::prefer;
use crate::problem::{self, Problem};
use crate::state::Web;

/// How long a request may take that does not ask to wait.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// For two years browsers come by HTTPS alone, and so to hosts below this one.
const HTTPS_ONLY: &str = "max-age=63072000; includeSubDomains";

/// The outermost layer.
pub async fn observe(State(web): State<Web>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let mut context = RequestContext::of(&request, &web.base_url);
    let method = method_label(request.method());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let path = request.uri().path().to_owned();
    let is_probe = matches!(route, "/health" | "/health/ready" | "/metrics");
    let traced = web.traces.as_ref().filter(|_| !is_probe).map(|traces| {
        let span = traces.request(context.caller.as_deref(), method, route, &context.request_id);
        context.join(&*span);
        span
    });
    let span = tracing::info_span!(
        "request",
        http.method = method,
        http.route = route,
        request.id = context.request_id,
        trace.id = context.trace_id,
    );
    request.extensions_mut().insert(context.clone());
    let response = if request.extensions().get::<Reserved>().is_some() && !is_probe {
        Problem::too_many_connections().into_response()
    } else {
        next.run(request).instrument(span.clone()).await
    };
    let mut response = problem::complete(response, &path, &context.request_id);
    add_headers(response.headers_mut(), &context);
    if web.base_url.is_https() {
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HTTPS_ONLY));
    }
    let took = started.elapsed();
    let status = response.status().as_u16();
    web.meter.observe(method, route, status, took);
    if let Some(traced) = traced {
        traced.answered(status);
    }
    if !is_probe {
        let took_ms = took.as_secs_f64() * 1000.0;
        span.in_scope(|| tracing::info!(http.path = path, http.status = status, took_ms, "answered"));
    }
    response
}

/// A label of its own for methods that exist; callers must not be able to make up more.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

fn add_headers(headers: &mut HeaderMap, context: &RequestContext) {
    if let Ok(id) = HeaderValue::from_str(&context.request_id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // What has an ETag may be kept to be asked for again.
    let cache = if headers.contains_key(ETAG) { "private, no-cache" } else { "no-store" };
    default_header(headers, CACHE_CONTROL, cache);
    default_header(headers, CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
}

fn default_header(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}

/// Ends requests that take too long. Streams are not concerned: their head is out by then.
pub async fn limit_time(request: Request, next: Next) -> Response {
    let limit = TIME_LIMIT + waits(&request);
    let Ok(response) = tokio::time::timeout(limit, next.run(request)).await else {
        tracing::error!(?limit, "a request took too long");
        return Problem::unavailable("timed_out", "Timed out", "the answer took too long; try again")
            .into_response();
    };
    response
}

/// How long the request asks to wait.
fn waits(request: &Request) -> Duration {
    let asked = params::wait_of(request.uri().query()).or_else(|| prefer::wait(request.headers()));
    asked.unwrap_or_default().min(prefer::LONGEST_WAIT)
}

/// The answer in place of one whose handler panicked.
#[expect(clippy::needless_pass_by_value, reason = "the form tower-http calls")]
pub fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(message, "a handler panicked");
    Problem::internal().into_response()
}
