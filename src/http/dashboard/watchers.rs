//! Who watches a page live: their event streams end with their sessions. One query looks after all of them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use super::session::{still_signed_in, token_hash};
use crate::http::Api;

/// For so long, at most, a stream outlives its session.
const EVERY: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Watched {
    /// By the hash of the session's token: how many streams, and what ends them.
    sessions: HashMap<Vec<u8>, (usize, CancellationToken)>,
    /// Whether somebody looks after them.
    looking: bool,
}

/// The sessions that event streams belong to. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Watchers(Arc<Mutex<Watched>>);

/// Ends the event stream that a request is answered with when the session ends that the request came with.
pub(crate) async fn end_with_session(State(api): State<Api>, request: Request, next: Next) -> Response {
    let session = token_hash(request.headers());
    let response = next.run(request).await;
    let is_stream = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|media_type| media_type.as_bytes().starts_with(b"text/event-stream"));
    let Some(session) = session.filter(|_| is_stream) else { return response };
    let watcher = api.watchers.follow(&api, session);
    let (parts, body) = response.into_parts();
    let stream = body.into_data_stream().take_until(async move { watcher.ended.cancelled().await });
    Response::from_parts(parts, Body::from_stream(stream))
}

impl Watchers {
    fn follow(&self, api: &Api, session: Vec<u8>) -> Watcher {
        let mut watched = self.lock();
        let (streams, ended) = watched.sessions.entry(session.clone()).or_default();
        *streams += 1;
        let ended = ended.clone();
        if !watched.looking {
            watched.looking = true;
            tokio::spawn(self.clone().look_after(api.clone()));
        }
        Watcher { all: self.clone(), session, ended }
    }

    async fn look_after(self, api: Api) {
        loop {
            tokio::select! {
                () = api.closing.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            let sessions: Vec<Vec<u8>> = {
                let mut watched = self.lock();
                if watched.sessions.is_empty() {
                    watched.looking = false;
                    return;
                }
                watched.sessions.keys().cloned().collect()
            };
            let still = match still_signed_in(&api, &sessions).await {
                Ok(still) => still.into_iter().collect::<HashSet<_>>(),
                Err(error) => {
                    tracing::warn!(%error, "could not look who is still signed in; trying on");
                    continue;
                }
            };
            let watched = self.lock();
            for session in sessions.iter().filter(|session| !still.contains(*session)) {
                if let Some((_, ended)) = watched.sessions.get(session) {
                    ended.cancel();
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream of a session.
struct Watcher {
    all: Watchers,
    session: Vec<u8>,
    ended: CancellationToken,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut watched = self.all.lock();
        if let Some((streams, _)) = watched.sessions.get_mut(&self.session) {
            *streams -= 1;
            if *streams == 0 {
                watched.sessions.remove(&self.session);
            }
        }
    }
}
