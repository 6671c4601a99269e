//! The overview as a stream of server-sent events. One look serves all who watch, and nobody looks while nobody watches.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use tokio::sync::watch;

use super::overview::Look;
use super::session::Session;
use crate::http::Api;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(2);

/// Where those who watch find the last look.
#[derive(Clone)]
pub(crate) struct Live {
    last: watch::Sender<Arc<str>>,
    looking: Arc<AtomicBool>,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self { last: watch::Sender::new("".into()), looking: Arc::default() }
    }

    fn follow(&self, api: &Api) -> watch::Receiver<Arc<str>> {
        let watching = self.last.subscribe();
        if !self.looking.swap(true, Ordering::AcqRel) {
            tokio::spawn(self.clone().look_on(api.clone()));
        }
        watching
    }

    async fn look_on(self, api: Api) {
        loop {
            match Look::take(&api).await.map(|look| look.render()) {
                Ok(Ok(html)) => drop(self.last.send_replace(html.into())),
                Ok(Err(error)) => tracing::error!(%error, "the overview could not be made"),
                Err(error) => tracing::warn!(%error, "could not look at the queues; trying on"),
            }
            tokio::select! {
                () = api.closing.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            if self.last.receiver_count() == 0 {
                self.looking.store(false, Ordering::Release);
                // Somebody may have come just before it was said that nobody looks.
                if self.last.receiver_count() == 0 || self.looking.swap(true, Ordering::AcqRel) {
                    return;
                }
            }
        }
    }
}

pub(super) async fn stream(State(api): State<Api>, _: Session) -> Response {
    let watching = api.live.follow(&api);
    events(api, watching)
}

/// An event for each look.
pub(super) fn events(api: Api, watching: watch::Receiver<Arc<str>>) -> Response {
    let events = unfold((watching, api), async |(mut watching, api)| {
        tokio::select! {
            () = api.closing.cancelled() => return None,
            changed = watching.changed() => changed.ok()?,
        }
        let html = watching.borrow_and_update().clone();
        let event = Event::default().event("look").data(&*html);
        Some((Ok::<_, Infallible>(event), (watching, api)))
    });
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15)).text("still here");
    Sse::new(events).keep_alive(keep_alive).into_response()
}
