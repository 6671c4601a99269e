//! Errors as callers see them: RFC 9457 problems with a stable `code`.

use axum::Json;
use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use weirgate_identity::keys::issuing;
use weirgate_identity::scopes::{Scope, Scopes};
use weirgate_identity::{TenantsError, tenants};
use weirgate_queue::{Fault, QueueError, private};

/// Most errors that one answer lists: a request may be wrong in tens of thousands of places.
const MOST_ERRORS: usize = 100;

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Query parameter, header or body field.
    #[schema(example = "date")]
    pub field: String,
    /// What is wrong.
    #[schema(example = "expected a date such as 2026-01-31")]
    pub message: String,
}

/// An error, before it knows the request it answers.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// On the heap, as few have it, and each handler's answer has room for one.
    more: Option<Box<Map<String, Value>>>,
}

/// An error (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Names the kind of error; the same for each `code`.
    #[serde(rename = "type")]
    #[schema(format = "uri", example = "urn:weirgate:problem:unknown_tenant")]
    kind: String,
    /// The kind of error, for people.
    #[schema(example = "Unknown tenant")]
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599, example = 404)]
    status: u16,
    /// The kind of error, for programs. Never changes.
    #[schema(example = "unknown_tenant")]
    code: &'static str,
    /// What went wrong this time.
    #[schema(example = "no tenant \"acme\"")]
    detail: String,
    /// The path that was asked for.
    #[schema(example = "/internal/ingest/tickets")]
    instance: String,
    /// The request's `X-Request-Id`.
    #[schema(example = "0198c0de-0000-7000-8000-000000000000")]
    request_id: String,
    /// Of a validation error, everything that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
    /// What else a client needs to go on, where that is something.
    #[serde(flatten)]
    #[schema(ignore)]
    more: Map<String, Value>,
}

impl Problem {
    pub fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            title,
            detail: detail.into(),
            errors: Vec::new(),
            headers: Vec::new(),
            more: None,
        }
    }

    pub fn not_found(code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, title, detail)
    }

    pub fn conflict(code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, title, detail)
    }

    /// 422 with everything that is wrong.
    pub fn invalid(mut errors: Vec<FieldError>) -> Self {
        let left_out = errors.len().saturating_sub(MOST_ERRORS);
        if left_out > 0 {
            errors.truncate(MOST_ERRORS);
            let message = format!("{left_out} more errors are not listed");
            errors.push(FieldError { field: "…".to_owned(), message });
        }
        let detail =
            errors.iter().map(|it| format!("{}: {}", it.field, it.message)).collect::<Vec<_>>().join("; ");
        let mut problem =
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", "Validation failed", detail);
        problem.errors = errors;
        problem
    }

    /// 422: nothing was looked at beside their number.
    pub fn too_many_parameters(message: String) -> Self {
        Self::invalid(vec![FieldError { field: "query".to_owned(), message }])
    }

    pub fn unauthorized(challenge: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized", detail)
            .with_header(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }

    /// 403: the credential may be used for other things, not for this (RFC 6750, section 3.1).
    pub fn insufficient_scope(needed: &Scope, has: &Scopes) -> Self {
        let name = needed.name;
        let detail = format!("this needs the scope {name}; the credential has {has}");
        let challenge = format!(r#"Bearer error="insufficient_scope", scope="{name}""#);
        let problem = Self::new(StatusCode::FORBIDDEN, "insufficient_scope", "Insufficient scope", detail);
        match HeaderValue::try_from(challenge) {
            Ok(challenge) => problem.with_header(WWW_AUTHENTICATE, challenge),
            // The name of a scope that no header can hold; the detail has it.
            Err(_) => problem,
        }
    }

    pub fn too_many_requests(retry_after_s: u64) -> Self {
        let detail = format!("more requests than allowed; the next one is in {retry_after_s} s");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "Too many requests", detail)
            .with_header(RETRY_AFTER, retry_after_s.into())
    }

    /// 429: as many queries, or whatever `what` names, of this caller are under way as may be.
    pub fn too_many_at_once(count: usize, what: &str) -> Self {
        let detail = format!(
            "too many {what} of this caller at once (limit {count}); wait until one of them is answered"
        );
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_at_once", "Too many requests at once", detail)
            .with_header(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// 503: worth trying again soon.
    pub fn unavailable(code: &'static str, title: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, title, detail)
            .with_header(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// 429: the caller's other connections are all that it may have.
    pub fn too_many_connections_of_one() -> Self {
        let detail = "this caller has the most connections allowed; close one, or reuse one that is open";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_at_once", "Too many connections at once", detail)
            .with_header(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// 503: it is not known yet who asks, and many others of that kind ask too.
    pub fn too_many_strangers() -> Self {
        let detail = "too many unauthenticated requests at once; try again in a moment";
        Self::unavailable("too_many_sign_ins", "Too many at once", detail)
    }

    /// 503: the last places are for those who look whether we live.
    pub fn too_many_connections() -> Self {
        let detail = "all connections are in use; close those that you do not need, and try again";
        Self::unavailable("too_many_connections", "Too many connections", detail)
    }

    /// 503: nothing can be sealed or signed here.
    pub fn no_secret_key() -> Self {
        let detail = "this service was started without WEIRGATE_SECRET_KEY, which this needs";
        Self::unavailable("no_secret_key", "No secret key", detail)
    }

    /// 503: the database is away.
    pub fn database_unavailable() -> Self {
        let detail = "the database cannot answer now; try again";
        Self::unavailable("database_unavailable", "Database unavailable", detail)
    }

    /// 503: there is no room for anything more; what was accepted is kept.
    pub fn database_full() -> Self {
        let detail = "the disk of the database is full; nothing of this request was stored; try again later";
        Self::unavailable("database_full", "Database full", detail)
    }

    /// 500: what happened is in the log only.
    pub fn internal() -> Self {
        let detail = "something went wrong; the log has it under the request id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Internal error", detail)
    }

    /// The value of a header that it is answered with.
    pub fn header(&self, wanted: &HeaderName) -> Option<&HeaderValue> {
        self.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value)
    }

    /// Its status, its title and what went wrong, for a page.
    pub fn words(self) -> (StatusCode, &'static str, String) {
        (self.status, self.title, self.detail)
    }

    /// Its status and what is wrong with which field, for a page that shows its form again;
    /// `tenant` is the field that names tenants.
    ///
    /// # Errors
    /// The problem itself, where it is of no field's making.
    pub fn by_field(mut self, tenant: &str) -> Result<(StatusCode, Vec<FieldError>), Self> {
        if matches!(self.code, "unknown_tenant" | "tenant_inactive") {
            let message = self.detail.clone();
            self.errors.push(FieldError { field: tenant.to_owned(), message });
        }
        if self.errors.is_empty() { Err(self) } else { Ok((self.status, self.errors)) }
    }

    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// With another member, which clients need to go on.
    #[must_use]
    pub fn with_member(mut self, name: &str, value: Value) -> Self {
        self.more.get_or_insert_default().insert(name.to_owned(), value);
        self
    }

    /// The problem for an error answer that was not made here, such as the router's 404 and 405.
    fn of_status(status: StatusCode) -> Self {
        let (code, title, detail) = match status {
            StatusCode::NOT_FOUND => ("unknown_route", "Unknown route", "there is nothing under this path"),
            StatusCode::METHOD_NOT_ALLOWED => {
                ("method_not_allowed", "Method not allowed", "the Allow header has the methods of this path")
            }
            StatusCode::PAYLOAD_TOO_LARGE => {
                ("payload_too_large", "Payload too large", "the body is larger than 1 MiB")
            }
            status if status.is_client_error() => {
                ("bad_request", "Bad request", "the request cannot be understood")
            }
            _ => return Self { status, ..Self::internal() },
        };
        Self::new(status, code, title, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        for (name, value) in &self.headers {
            response.headers_mut().append(name, value.clone());
        }
        // The body is written by `complete`, which knows the request.
        response.extensions_mut().insert(self);
        response
    }
}

/// Marks an error answer that has a body for its reader already, such as a page.
#[derive(Debug, Clone, Copy)]
pub struct Shown;

/// Writes the body of an error answer; leaves other answers alone.
pub fn complete(response: Response, instance: &str, request_id: &str) -> Response {
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    if !is_error || response.extensions().get::<Shown>().is_some() {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    let problem = parts.extensions.remove().unwrap_or_else(|| Problem::of_status(parts.status));
    let body = Json(ProblemBody {
        kind: format!("urn:weirgate:problem:{}", problem.code),
        title: problem.title,
        status: problem.status.as_u16(),
        code: problem.code,
        detail: problem.detail,
        instance: instance.to_owned(),
        request_id: request_id.to_owned(),
        errors: problem.errors,
        more: problem.more.map(|more| *more).unwrap_or_default(),
    });
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    Response::from_parts(parts, Body::new(body.into_response().into_body()))
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        let state = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        match state.as_deref() {
            // `statement_timeout`, or an operator.
            Some("57014") => {
                tracing::warn!(%error, "a query took too long");
                Self::unavailable(
                    "query_timed_out",
                    "Query timed out",
                    "the query took too long and was stopped; try again, or ask for less: fewer days, or a smaller limit",
                )
            }
            // A value that no check here refused but Postgres cannot hold.
            Some(code) if code.starts_with("22") || code.starts_with("54") => {
                tracing::warn!(%error, "the database refused a value of a request");
                Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "unacceptable_value",
                    "Unacceptable value",
                    "a value of the request is out of range",
                )
            }
            Some("53100") => {
                tracing::error!(%error, "the disk of the database is full");
                Self::database_full()
            }
            _ if Fault::of(&error) == Fault::Transient => {
                tracing::error!(%error, "the database is unavailable");
                Self::database_unavailable()
            }
            _ => {
                tracing::error!(%error, "a query failed");
                Self::internal()
            }
        }
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Database(error) => error.into(),
            QueueError::WentBack { .. } => Self::database_unavailable(),
            QueueError::UnknownJob(job) => Self::unknown_job(&job),
            QueueError::UnknownBackfill(id) => Self::unknown_backfill(id),
            QueueError::WrongBackfillState { backfill, state, why } => Self::conflict(
                "wrong_state",
                "The backfill's state does not allow it",
                format!("backfill {backfill} is {state}: {why}"),
            ),
            QueueError::WrongState { job, state, why } => Self::conflict(
                "wrong_state",
                "The job's state does not allow it",
                format!("job {job} is {state}: {why}"),
            ),
            QueueError::UnknownWorkflow(id) => {
                Self::not_found("unknown_workflow", "Unknown workflow", format!("no workflow {id}"))
            }
            error @ QueueError::UnknownSchedule(_) => {
                Self::not_found("unknown_schedule", "Unknown schedule", error.to_string())
            }
            error @ QueueError::CannotRunNow { .. } => {
                Self::conflict("cannot_run_now", "It cannot be run now", error.to_string())
            }
            QueueError::PrivateTooLarge { bytes, .. } => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "payload_too_large",
                "Payload too large",
                format!(
                    "the private part of the request takes {bytes} bytes; at most {} are taken",
                    private::MAX_BYTES
                ),
            ),
            error => {
                tracing::error!(%error, "the engine refused");
                Self::internal()
            }
        }
    }
}

impl From<TenantsError> for Problem {
    fn from(error: TenantsError) -> Self {
        let detail = error.to_string();
        match error {
            TenantsError::Unknown(_) => Self::not_found("unknown_tenant", "Unknown tenant", detail),
            TenantsError::Inactive(_) => Self::conflict("tenant_inactive", "Tenant inactive", detail),
            TenantsError::Database(error) => error.into(),
        }
    }
}

impl From<tenants::Refused> for Problem {
    fn from(refused: tenants::Refused) -> Self {
        match refused {
            tenants::Refused::Wrong(wrong) => {
                let error =
                    |it: tenants::Wrong| FieldError { field: it.field.to_owned(), message: it.message };
                Self::invalid(wrong.into_iter().map(error).collect())
            }
            tenants::Refused::Taken(slug) => Self::conflict(
                "slug_taken",
                "Slug taken",
                format!("tenant {slug:?} already exists; change it with PATCH /internal/tenants/{slug}"),
            ),
            tenants::Refused::Unknown(name) => Self::unknown_tenant(&name),
            tenants::Refused::Database(error) => error.into(),
        }
    }
}

impl From<issuing::Refused> for Problem {
    fn from(refused: issuing::Refused) -> Self {
        let (field, message) = match refused {
            issuing::Refused::Name(message) => ("name", message),
            issuing::Refused::Expired(_) => ("expires_at", refused.to_string()),
            issuing::Refused::Database(error) => return error.into(),
        };
        Self::invalid(vec![FieldError { field: field.to_owned(), message }])
    }
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        tracing::error!(%error, "a stored value is not of the form it was written in");
        Self::internal()
    }
}

impl Problem {
    pub fn unknown_job(job: &impl std::fmt::Display) -> Self {
        Self::not_found("unknown_job", "Unknown job", format!("no job {job}"))
    }

    pub fn unknown_backfill(id: uuid::Uuid) -> Self {
        Self::not_found("unknown_backfill", "Unknown backfill", format!("no backfill {id}"))
    }

    pub fn unknown_tenant(name: &str) -> Self {
        Self::not_found("unknown_tenant", "Unknown tenant", format!("no tenant {name:?}"))
    }
}
