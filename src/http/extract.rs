//! Path parameters and JSON bodies, refused as problems.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::http::BODY_LIMIT;
use crate::http::params::Query;
use crate::http::problem::{FieldError, Problem};

/// A path parameter. A malformed one names nothing, so it is a 404.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(error) => Err(Problem::not_found(
                "not_found",
                "Not found",
                format!("no such resource: {}", error.body_text()),
            )),
        }
    }
}

/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(20);

/// The raw body, up to the limit of most requests.
pub(crate) async fn read_body(request: Request) -> Result<Bytes, Problem> {
    read_body_of(request, BODY_LIMIT).await
}

/// The raw body, up to `limit` bytes.
pub(crate) async fn read_body_of(mut request: Request, limit: usize) -> Result<Bytes, Problem> {
    DefaultBodyLimit::max(limit).apply(&mut request);
    let Ok(body) = timeout(BODY_TIME, Bytes::from_request(request, &())).await else {
        let detail = format!("the body was not there after {} s", BODY_TIME.as_secs());
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
            Problem::new(StatusCode::BAD_REQUEST, "unreadable_body", "Unreadable body", "the body broke off")
        }
    })
}

/// The JSON object in `body`; the default where there is no body.
///
/// 415 for a body of another media type, 400 for one that is not JSON, 422 for JSON of another form.
pub(crate) fn parse_body<T: DeserializeOwned + Default>(
    headers: &HeaderMap,
    body: &[u8],
) -> Result<T, Problem> {
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
    let value: serde_json::Value = serde_json::from_slice(body).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "malformed_json", "Malformed JSON", error.to_string())
    })?;
    if !value.is_object() {
        return Err(error("body", "expected a JSON object".to_owned()));
    }
    // From the text, not the value: a value has forgotten which fields were given twice.
    let deserializer = &mut serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(deserializer)
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
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let headers = request.headers().clone();
        let body = read_body(request).await?;
        parse_body(&headers, &body).map(Self)
    }
}

/// A request that only names something: it has no parameters, and no body with anything in it.
#[derive(Debug)]
pub(crate) struct Only<T>(pub(crate) T);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequest<S> for Only<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let Path(name) = Path::from_request_parts(&mut parts, state).await?;
        let Query(()) = Query::from_request_parts(&mut parts, state).await?;
        Body::<Nothing>::from_request(Request::from_parts(parts, body), state).await?;
        Ok(Self(name))
    }
}
