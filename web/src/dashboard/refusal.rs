//! Pages that refuse, and parts of addresses that name no page.

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::header::RETRY_AFTER;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use super::frame::{Frame, page};
use super::session::Session;
use crate::problem::{Problem, Shown};

/// A page that says why something was not done.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    title: String,
    detail: String,
    session: Option<Box<Session>>,
    /// Where it leads, and what the link says.
    link: (String, &'static str),
}

#[derive(Template)]
#[template(path = "refusal.html")]
struct RefusalPage<'a> {
    frame: Option<Frame>,
    title: &'a str,
    detail: &'a str,
    link: &'a (String, &'static str),
}

impl Refusal {
    pub fn new(status: StatusCode, title: impl Into<String>, detail: impl Into<String>) -> Self {
        let link = ("/dashboard".to_owned(), "Go to the overview");
        Self { status, title: title.into(), detail: detail.into(), session: None, link }
    }

    /// Leads there, in place of the overview.
    #[must_use]
    pub fn leading_to(self, path: String, says: &'static str) -> Self {
        Self { link: (path, says), ..self }
    }

    /// Nothing is there.
    pub fn no_such_page() -> Self {
        let detail = "The address may be incomplete or mistyped. The overview leads to every page.";
        Self::new(StatusCode::NOT_FOUND, "There is no such page", detail)
    }

    /// Somebody is signed in for whom the dashboard is not.
    pub fn no_role() -> Self {
        let detail = "Your account has no role on the dashboard; an admin can give it one. What your account is for \
            is on its own page.";
        Self::new(StatusCode::FORBIDDEN, "Not for this account", detail)
            .leading_to("/account".to_owned(), "Go to your account")
    }

    /// Leading to the account of who is signed in.
    #[must_use]
    pub fn to_account(self) -> Self {
        self.leading_to("/account".to_owned(), "Go to your account")
    }

    /// Shown with the navigation.
    #[must_use]
    pub fn for_session(self, session: &Session) -> Self {
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
pub struct Path<T>(pub T);

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
        let shown = RefusalPage { frame, title: &self.title, detail: &self.detail, link: &self.link };
        let mut response = page(&shown);
        *response.status_mut() = self.status;
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response.extensions_mut().insert(Shown);
        response
    }
}
