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
    /// What it is done to, by name and value, where that takes more than the title.
    pub(super) details: Vec<(String, String)>,
    /// Where the form goes, with `confirmed` and these fields.
    pub(super) action: String,
    pub(super) fields: Vec<(String, String)>,
    /// What the button says.
    pub(super) yes: String,
    /// Where one goes who does not want it.
    pub(super) back: String,
}

impl Confirm {
    /// Asks before `what`, such as `queue kpi`, is paused or resumed: the form goes to `pause` or `resume` below `path`.
    pub(super) fn pause(frame: Frame, paused: bool, what: &str, path: &str, happens: Vec<String>) -> Self {
        let (verb, end) = if paused { ("Pause", "pause") } else { ("Resume", "resume") };
        let title = format!("{verb} {what}");
        Self {
            frame,
            yes: title.clone(),
            title,
            happens,
            details: Vec::new(),
            action: format!("{path}/{end}"),
            fields: Vec::new(),
            back: path.to_owned(),
        }
    }

    pub(super) fn ask(&self) -> Response {
        page(self)
    }
}
