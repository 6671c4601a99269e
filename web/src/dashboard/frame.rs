//! What stands around a page, and the answer that a page is.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use weirgate_identity::platform::Role;

use super::columns;
use super::navigation::Navigation;
use super::session::Session;

/// Around a page.
pub struct Frame {
    /// Who is signed in.
    pub email: String,
    /// What they may do.
    pub role: &'static str,
    /// What forms are sent with.
    pub csrf: String,
    /// Whether actions are shown.
    pub may_act: bool,
    rank: Role,
    navigation: Navigation,
    at: &'static str,
}

/// A link of the navigation.
pub struct Link {
    /// What it says.
    pub name: &'static str,
    /// Where it leads, below `/dashboard`.
    pub path: &'static str,
    /// Whether that is this page.
    pub current: bool,
}

impl Frame {
    /// For the page at `at`, such as `/jobs`.
    pub fn new(session: &Session, at: &'static str) -> Self {
        Self {
            email: session.user.email.clone(),
            role: session.user.role.as_str(),
            csrf: session.csrf.clone(),
            may_act: session.user.role >= Role::Operator,
            rank: session.user.role,
            navigation: session.navigation.clone(),
            at,
        }
    }

    /// The links above the page.
    pub fn links(&self) -> impl Iterator<Item = Link> + '_ {
        let entries = self.navigation.entries().iter().filter(|entry| entry.least <= self.rank);
        entries.map(|entry| Link { name: entry.name, path: entry.path, current: entry.path == self.at })
    }
}

/// An answer in HTML.
pub fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => Html(columns::named(&html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
