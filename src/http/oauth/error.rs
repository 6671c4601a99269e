//! Errors about tokens, as RFC 6749 has them (section 5.2).

use axum::Json;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use weirgate_web::problem::{Problem, Shown};

/// Why no token was given out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OAuthError)]
pub(crate) struct OAuthError {
    #[schema(example = "invalid_grant")]
    error: &'static str,
    /// For people who write apps.
    #[schema(example = "the code is unknown, used, or older than 60 seconds")]
    error_description: String,
    #[serde(skip)]
    status: u16,
    #[serde(skip)]
    retry_after: Option<HeaderValue>,
}

impl OAuthError {
    fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self {
            error,
            error_description: description.into(),
            status: StatusCode::BAD_REQUEST.as_u16(),
            retry_after: None,
        }
    }

    pub(super) fn invalid_request(description: impl Into<String>) -> Self {
        Self::new("invalid_request", description)
    }

    pub(super) fn invalid_grant(description: impl Into<String>) -> Self {
        Self::new("invalid_grant", description)
    }

    pub(super) fn unsupported_grant_type(given: &str) -> Self {
        let description =
            format!("grant_type {given:?} is not supported; expected authorization_code or refresh_token");
        Self::new("unsupported_grant_type", description)
    }

    pub(super) fn invalid_client(given: &str) -> Self {
        let description = format!("no client {given:?}; `weirgate clients list` shows them");
        Self { status: StatusCode::UNAUTHORIZED.as_u16(), ..Self::new("invalid_client", description) }
    }
}

/// What went wrong on our side is told as everywhere, in the members of this standard.
impl From<Problem> for OAuthError {
    fn from(problem: Problem) -> Self {
        let retry_after = problem.header(&RETRY_AFTER).cloned();
        let (status, title, detail) = problem.words();
        let error = match status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => "temporarily_unavailable",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request",
        };
        let error_description = format!("{title}: {detail}");
        Self { error, error_description, status: status.as_u16(), retry_after }
    }
}

impl From<sqlx::Error> for OAuthError {
    fn from(error: sqlx::Error) -> Self {
        Problem::from(error).into()
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let retry_after = self.retry_after.clone();
        let mut response = (status, Json(self)).into_response();
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(retry_after) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, retry_after);
        }
        response.extensions_mut().insert(Shown);
        response
    }
}
