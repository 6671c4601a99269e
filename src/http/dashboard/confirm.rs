//! A page between the wish and the deed: what will happen, in words, and a button that says yes.

use askama::Template;
use axum::response::Response;

use super::view::{Frame, page};

#[derive(Template)]
#[template(path = "confirm.html")]
pub(super) struct Confirm {
    pub(super) frame: Frame,
    pub(super) title: String,
    /// A sentence each.
    pub(super) happens: Vec<String>,
    /// Where the form goes, with `confirmed` and these fields.
    pub(super) action: String,
    pub(super) fields: Vec<(String, String)>,
    /// What the button says.
    pub(super) yes: String,
    /// Where one goes who does not want it.
    pub(super) back: String,
}

impl Confirm {
    pub(super) fn ask(&self) -> Response {
        page(self)
    }
}
