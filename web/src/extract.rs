//! Path parameters and JSON bodies, refused as problems.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, MatchedPath, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sqlx::PgConnection;
use tokio::time::timeout;
use uuid::Uuid;

use crate::idempotency::{Claimed, IdempotencyKey, REPLAYED};
use crate::members::Member;
use crate::params::Query;
use crate::problem::{FieldError, Problem};

/// Largest body of a request, in bytes.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// A path parameter. A malformed one names nothing, so it is a 404.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // Nothing that is stored has a NUL in its name, since Postgres cannot hold one.
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) if !has_nul(parts.uri.path()) => Ok(Self(value)),
            _ => Err(names_nothing(parts)),
        }
    }
}

fn has_nul(path: &str) -> bool {
    path.contains("%00")
}

/// What a parameter of a path names, in the plural, and the code and title of the problem where
/// there is nothing of that name.
pub type Named = (&'static str, &'static str, &'static str);

/// What a domain's paths name, as an extension of its requests.
#[derive(Debug, Clone, Copy)]
pub struct AlsoNamed(pub &'static [Named]);

/// What paths of any surface name.
const NAMED: [Named; 7] = [
    ("api-keys", "unknown_api_key", "Unknown API key"),
    ("tenants", "unknown_tenant", "Unknown tenant"),
    ("schedules", "unknown_schedule", "Unknown schedule"),
    ("jobs", "unknown_job", "Unknown job"),
    ("backfills", "unknown_backfill", "Unknown backfill"),
    ("workflows", "unknown_workflow", "Unknown workflow"),
    ("workers", "unknown_worker", "Unknown worker"),
];

/// 404, as for a name of the right form that nothing has.
fn names_nothing(parts: &Parts) -> Problem {
    let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let segments = || route.split('/').zip(parts.uri.path().split('/'));
    let is_name = |(segment, _): &(&str, &str)| segment.starts_with('{');
    let place = segments()
        .position(|pair| is_name(&pair) && has_nul(pair.1))
        .or_else(|| segments().position(|pair| is_name(&pair)))
        .unwrap_or_default();
    let named = segments().nth(place.saturating_sub(1)).map_or("", |(segment, _)| segment);
    let given = segments().nth(place).map_or("", |(_, given)| given);
    let given = percent_decode(given);
    let also = parts.extensions.get::<AlsoNamed>().map_or(&[][..], |AlsoNamed(also)| also);
    match NAMED.iter().chain(also).find(|(plural, ..)| *plural == named) {
        Some((plural, code, title)) => {
            let detail = format!("no {} {given:?}", plural.trim_end_matches('s'));
            Problem::not_found(code, title, detail)
        }
        None => {
            Problem::not_found("not_found", "Not found", format!("there is nothing named {given:?} here"))
        }
    }
}

/// As far as it is a text.
fn percent_decode(segment: &str) -> String {
    // A plus is one in a path.
    let query = segment.replace('+', "%2B");
    form_urlencoded::parse(query.as_bytes()).next().map_or_else(String::new, |(text, _)| text.into_owned())
}

/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(20);

/// The raw body, up to the limit of most requests.
pub async fn read_body(request: Request) -> Result<Bytes, Problem> {
    read_body_of(request, BODY_LIMIT).await
}

/// The raw body, up to `limit` bytes.
pub async fn read_body_of(mut request: Request, limit: usize) -> Result<Bytes, Problem> {
    DefaultBodyLimit::max(limit).apply(&mut request);
    let Ok(body) = timeout(BODY_TIME, Bytes::from_request(request, &())).await else {
        let detail = format!("the body did not arrive within {} s", BODY_TIME.as_secs());
        return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timed_out", "Body timed out", detail));
    };
    body.map_err(|rejection: BytesRejection| {
        let most = if limit < BODY_LIMIT {
            format!("{} KiB", limit / 1024)
        } else {
            format!("{} MiB", limit / 1024 / 1024)
        };
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "payload_too_large",
                "Payload too large",
                format!("the body is larger than {most}"),
            )
        } else {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "unreadable_body",
                "Unreadable body",
                "the body ended before it was complete",
            )
        }
    })
}

/// The JSON object in `body`; the default where there is no body.
///
/// 415 for a body of another media type, 400 for one that is not JSON, 422 for JSON of another
/// form.
pub fn parse_body<T: DeserializeOwned + Default>(headers: &HeaderMap, body: &[u8]) -> Result<T, Problem> {
    if body.is_empty() {
        return Ok(T::default());
    }
    if !is_json(headers) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Unsupported media type",
            "a body must be application/json",
        ));
    }
    let error = |field: &str, message: String| {
        Problem::invalid(vec![FieldError { field: field.to_owned(), message }])
    };
    let body: Member = serde_json::from_slice(body).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "malformed_json", "Malformed JSON", error.to_string())
    })?;
    if !matches!(body, Member::Object(_)) {
        return Err(error("body", "expected a JSON object".to_owned()));
    }
    serde_path_to_error::deserialize(body)
        .map_err(|it| error(&field_name(&it.path().to_string()), it.inner().to_string()))
}

fn field_name(path: &str) -> String {
    if path == "." { "body".to_owned() } else { path.to_owned() }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// A JSON object; the default where there is no body.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let headers = request.headers().clone();
        let body = read_body(request).await?;
        parse_body(&headers, &body).map(Self)
    }
}

/// A POST that names what is to be done something to: it has no parameters, and no body with
/// anything in it unless there is a `B`. Under an `Idempotency-Key` it is done once.
#[derive(Debug)]
pub struct Action<T, B = Nothing> {
    pub target: T,
    pub body: B,
    key: Option<IdempotencyKey>,
}

impl<T, B> Action<T, B> {
    /// Whether `id`, which is about to be stored, is to be made in this transaction; else which one
    /// an earlier request with the same key has made.
    pub async fn claim(&self, conn: &mut PgConnection, id: Uuid) -> Result<Claimed, Problem> {
        match &self.key {
            Some(key) => key.claim(conn, id).await,
            None => Ok(Claimed::First),
        }
    }

    /// Keeps what it made, for its repeats.
    pub async fn keep(&self, conn: &mut PgConnection, made: &[Uuid]) -> sqlx::Result<()> {
        match &self.key {
            Some(key) => key.keep(conn, made).await,
            None => Ok(()),
        }
    }

    /// What the earlier request with the same key has made.
    pub async fn kept(&self, conn: &mut PgConnection) -> sqlx::Result<Vec<Uuid>> {
        match &self.key {
            Some(key) => key.kept(conn).await,
            None => Ok(Vec::new()),
        }
    }

    /// Whether it is still to be done, in this transaction; else an earlier request with the same
    /// key has done it.
    pub async fn is_first(&self, conn: &mut PgConnection) -> Result<bool, Problem> {
        match &self.key {
            Some(key) => Ok(matches!(key.claim_act(conn).await?, Claimed::First)),
            None => Ok(true),
        }
    }
}

/// The answer to an act; it says so where an earlier request was the `first`.
pub fn answered(first: bool, answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    if !first {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

impl<T: DeserializeOwned + Send, B: DeserializeOwned + Default, S: Send + Sync> FromRequest<S>
    for Action<T, B>
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let Path(target) = Path::from_request_parts(&mut parts, state).await?;
        let Query(()) = Query::from_request_parts(&mut parts, state).await?;
        let head = parts.clone();
        let body = read_body(Request::from_parts(parts, body)).await?;
        let key = IdempotencyKey::of(&head, &body)?;
        Ok(Self { target, body: parse_body(&head.headers, &body)?, key })
    }
}
