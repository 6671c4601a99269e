//! The queues: how each goes, and what it may.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use weirgate_queue::JobState;
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::when::span;
use weirgate_web::dashboard::words::count;

use super::limit_words::queue_limits;
use crate::http::Api;
use crate::http::queue_facts::QueueFacts;

/// A queue in words.
pub(super) struct QueueRow {
    pub(super) name: String,
    pub(super) paused: bool,
    pub(super) available: String,
    pub(super) running: String,
    pub(super) oldest: String,
    pub(super) started: String,
    pub(super) finished: String,
    pub(super) workers: String,
    pub(super) limits: String,
}

impl QueueRow {
    pub(super) fn new(facts: &QueueFacts) -> Self {
        let running = count(facts.count(JobState::Running));
        let most = facts.settings.queue.max_running;
        let slots = count(facts.workers.capacity);
        Self {
            name: facts.name.clone(),
            paused: facts.settings.paused,
            available: count(facts.count(JobState::Available)),
            running: match most {
                Some(most) => format!("{running} of {}, {slots} slots", count(i64::from(most))),
                None => format!("{running} in {slots} slots"),
            },
            oldest: facts.oldest.map_or_else(|| "–".to_owned(), |at| span(facts.now - at)),
            started: format!("{:.1}", facts.traffic.started),
            finished: format!("{:.1}", facts.traffic.finished),
            workers: count(facts.workers.count),
            limits: queue_limits(facts.settings.queue),
        }
    }
}

impl QueueRow {
    /// What can be done to it.
    fn verb(&self) -> &'static str {
        if self.paused { "Resume" } else { "Pause" }
    }
}

#[derive(Template)]
#[template(path = "queues.html")]
struct QueuesPage {
    frame: Frame,
    rows: Vec<QueueRow>,
}

pub(super) async fn list(State(api): State<Api>, session: Session) -> Result<Response, Refusal> {
    let rows = QueueFacts::all(&api).await?.iter().map(QueueRow::new).collect();
    Ok(page(&QueuesPage { frame: Frame::new(&session, "/queues"), rows }))
}
