//! What all pages have in common: their frame, words for times, and pages that refuse.

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::header::RETRY_AFTER;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::de::DeserializeOwned;
use weirgate_identity::users::Role;
use weirgate_web::problem::{Problem, Shown};

use super::columns;
use super::session::Session;

/// Around a page.
pub(super) struct Frame {
    pub(super) email: String,
    pub(super) role: &'static str,
    pub(super) csrf: String,
    /// Whether actions are shown.
    pub(super) may_act: bool,
    at: &'static str,
}

/// A link of the navigation.
pub(super) struct Link {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) current: bool,
}

impl Frame {
    /// For the page at `at`, such as `/jobs`.
    pub(super) fn new(session: &Session, at: &'static str) -> Self {
        Self {
            email: session.user.email.clone(),
            role: session.user.role.as_str(),
            csrf: session.csrf.clone(),
            may_act: session.user.role >= Role::Operator,
            at,
        }
    }

    pub(super) fn links(&self) -> impl Iterator<Item = Link> + '_ {
        [
            ("Overview", ""),
            ("Jobs", "/jobs"),
            ("Failures", "/failures"),
            ("Rejects", "/rejects"),
            ("Tenants", "/tenants"),
            ("Queues", "/queues"),
            ("Workflows", "/workflows"),
            ("Backfills", "/backfills"),
            ("Schedules", "/schedules"),
            ("KPIs", "/kpis"),
            ("Workers", "/workers"),
            ("Audit", "/audit"),
        ]
        .into_iter()
        .map(|(name, path)| Link { name, path, current: path == self.at })
    }
}

/// An answer in HTML.
pub(super) fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => Html(columns::named(&html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A time, exactly and in words.
pub(super) struct When {
    pub(super) exact: String,
    pub(super) words: String,
}

impl When {
    pub(super) fn new(at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let words =
            if at > now { format!("in {}", span(at - now)) } else { format!("{} ago", span(now - at)) };
        Self { exact: at.to_rfc3339_opts(SecondsFormat::Millis, true), words }
    }
}

/// A span of time in one or two words.
pub(super) fn span(span: TimeDelta) -> String {
    let ms = span.num_milliseconds().max(0);
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        60_000..3_600_000 => format!("{} min", ms / 60_000),
        3_600_000..172_800_000 => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
        _ => format!("{} days", ms / 86_400_000),
    }
}

/// A page that says why something was not done.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    title: String,
    detail: String,
    session: Option<Box<Session>>,
}

#[derive(Template)]
#[template(path = "refusal.html")]
struct RefusalPage<'a> {
    frame: Option<Frame>,
    title: &'a str,
    detail: &'a str,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, title: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { status, title: title.into(), detail: detail.into(), session: None }
    }

    /// Nothing is there.
    pub(super) fn no_such_page() -> Self {
        let detail = "The address may be incomplete or mistyped. The overview leads to every page.";
        Self::new(StatusCode::NOT_FOUND, "There is no such page", detail)
    }

    /// Shown with the navigation.
    pub(super) fn for_session(self, session: &Session) -> Self {
        Self { session: Some(Box::new(session.clone())), ..self }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let (status, title, detail) = problem.words();
        Self::new(status, title, detail)
    }
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        Problem::from(error).into()
    }
}

impl From<askama::Error> for Refusal {
    fn from(error: askama::Error) -> Self {
        tracing::error!(%error, "a part of a page could not be made");
        Problem::internal().into()
    }
}

impl From<weirgate_queue::QueueError> for Refusal {
    fn from(error: weirgate_queue::QueueError) -> Self {
        Problem::from(error).into()
    }
}

/// A part of an address. One that can't be what it should be names no page.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let found = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        let axum::extract::Path(value) = found.map_err(|_| Refusal::no_such_page())?;
        Ok(Self(value))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let frame = self.session.as_deref().map(|session| Frame::new(session, "/refused"));
        let mut response = page(&RefusalPage { frame, title: &self.title, detail: &self.detail });
        *response.status_mut() = self.status;
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response.extensions_mut().insert(Shown);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        let said = [0, 999, 1_500, 59_999, 60_000, 3_600_000, 5_400_000, 172_800_000]
            .map(|ms| span(TimeDelta::milliseconds(ms)));
        assert_eq!(said, ["0 ms", "999 ms", "1.5 s", "59.9 s", "1 min", "1 h 0 min", "1 h 30 min", "2 days"]);
    }
}
