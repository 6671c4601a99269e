//! Pages as streams of server-sent events. A page is rendered once for all who watch the same, and
//! none is rendered that nobody watches.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::columns;
use super::refusal::Refusal;

/// Between two refreshes of the same page.
const EVERY: Duration = Duration::from_secs(2);

/// So many different ones are watched at once, at most.
const MOST: usize = 100;

/// What can be watched: a page whose parts change by themselves.
pub trait View<S>: Clone + Send + Sync + 'static {
    /// The same for all who watch the same.
    fn name(&self) -> String;

    /// How it is now, in HTML.
    fn render(&self, state: &S) -> impl Future<Output = Result<String, Refusal>> + Send;
}

/// Where those who watch find the newest HTML of each page, by its name.
#[derive(Clone)]
pub struct Views {
    watched: Arc<Mutex<HashMap<String, watch::Sender<Arc<str>>>>>,
    /// Cancelled when the service closes: nobody watches then.
    closing: CancellationToken,
}

impl Views {
    /// Where nobody watches yet.
    pub fn new(closing: CancellationToken) -> Self {
        Self { watched: Arc::default(), closing }
    }

    /// The newest HTML of `view`, which may be newer than the page that the reader has, and those
    /// from now on.
    pub fn stream<S: Clone + Send + Sync + 'static>(&self, state: &S, view: impl View<S>) -> Response {
        let Some(watching) = self.follow(state, view) else {
            let detail = "Too many different pages are being updated live, so this one is not. Reload it to see what is new.";
            return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "Too many live pages", detail)
                .into_response();
        };
        events(self.closing.clone(), watching)
    }

    fn follow<S: Clone + Send + Sync + 'static>(
        &self,
        state: &S,
        view: impl View<S>,
    ) -> Option<watch::Receiver<Arc<str>>> {
        let mut all = self.watched.lock();
        let room = all.len() < MOST;
        match all.entry(view.name()) {
            Entry::Occupied(known) => {
                let mut watching = known.get().subscribe();
                if !watching.borrow().is_empty() {
                    watching.mark_changed();
                }
                Some(watching)
            }
            Entry::Vacant(new) if room => {
                let (last, watching) = watch::channel("".into());
                new.insert(last.clone());
                tokio::spawn(self.clone().refresh(state.clone(), view, last));
                Some(watching)
            }
            Entry::Vacant(_) => None,
        }
    }

    async fn refresh<S: Send + Sync>(self, state: S, view: impl View<S>, last: watch::Sender<Arc<str>>) {
        loop {
            match view.render(&state).await.map(|html| columns::named(&html)) {
                Ok(html) => {
                    last.send_if_modified(|before| {
                        let differs = **before != *html;
                        if differs {
                            *before = html.into();
                        }
                        differs
                    });
                }
                Err(refusal) => {
                    tracing::warn!(view = view.name(), ?refusal, "could not render a page; trying again");
                }
            }
            tokio::select! {
                () = self.closing.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            // Under the lock that those who come take, so that none comes in between.
            let mut all = self.watched.lock();
            if last.receiver_count() == 0 {
                all.remove(&view.name());
                return;
            }
        }
    }
}

/// An event for each change.
fn events(closing: CancellationToken, watching: watch::Receiver<Arc<str>>) -> Response {
    let events = unfold((watching, closing), async |(mut watching, closing)| {
        tokio::select! {
            () = closing.cancelled() => return None,
            changed = watching.changed() => changed.ok()?,
        }
        let html = watching.borrow_and_update().clone();
        let event = Event::default().event("look").data(&*html);
        Some((Ok::<_, Infallible>(event), (watching, closing)))
    });
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15)).text("still here");
    Sse::new(events).keep_alive(keep_alive).into_response()
}
