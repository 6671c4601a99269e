//! The page that asks before something is done: what will happen, in words, and a button that says
//! yes.

use askama::Template;
use axum::response::Response;

use super::frame::{Frame, page};

#[derive(Template)]
#[template(path = "confirm.html")]
pub struct Confirm {
    pub frame: Frame,
    pub title: String,
    /// A sentence each.
    pub happens: Vec<String>,
    /// What it is done to, by name and value, where that takes more than the title.
    pub details: Vec<(String, String)>,
    /// Where the form goes, with `confirmed` and these fields.
    pub action: String,
    pub fields: Vec<(String, String)>,
    /// What the button says.
    pub yes: String,
    /// Where one goes who does not want it.
    pub back: String,
}

impl Confirm {
    /// Asks before `what`, such as `queue kpi`, is paused or resumed: the form goes to `pause` or
    /// `resume` below `path`.
    pub fn pause(frame: Frame, paused: bool, what: &str, path: &str, happens: Vec<String>) -> Self {
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

    pub fn ask(&self) -> Response {
        page(self)
    }
}
