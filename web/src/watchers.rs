//! Answers that last: event streams and held requests end with what they were asked with, a session
//! or an API key. One query each looks after all of them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt;
use futures_util::stream::unfold;
use parking_lot::{Mutex, MutexGuard};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use weirgate_identity::{grants, keys, sessions};

/// For so long, and a query, an answer outlives what it was asked with.
const EVERY: Duration = Duration::from_secs(2);

/// What an answer lasts as long as.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Credential {
    /// A session of the dashboard, by the hash of its token.
    Session(Vec<u8>),
    /// An API key of a tenant.
    Key { tenant: Uuid, id: Uuid },
    /// The sign-in that an access token was given out under.
    Grant(Uuid),
}

#[derive(Debug, Default)]
struct Watched {
    /// How many answers belong to each, and what ends them.
    credentials: HashMap<Credential, (usize, CancellationToken)>,
    /// Whether somebody looks after them.
    looking: bool,
}

/// What answers under way were asked with. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Watchers(Arc<All>);

#[derive(Debug)]
struct All {
    pool: PgPool,
    /// Cancelled when the service closes.
    closing: CancellationToken,
    watched: Mutex<Watched>,
}

impl Watchers {
    /// Nothing is under way yet. Nobody is looked after any more once `closing` is cancelled.
    pub fn new(pool: PgPool, closing: CancellationToken) -> Self {
        Self(Arc::new(All { pool, closing, watched: Mutex::default() }))
    }

    /// From now on, the answer is told when its credential is no longer good.
    pub fn follow(&self, credential: Credential) -> Watcher {
        let mut watched = self.lock();
        let (answers, ended) = watched.credentials.entry(credential.clone()).or_default();
        *answers += 1;
        let ended = ended.clone();
        if !watched.looking {
            watched.looking = true;
            tokio::spawn(self.clone().look_after());
        }
        Watcher { all: self.clone(), credential, ended }
    }

    async fn look_after(self) {
        loop {
            tokio::select! {
                () = self.0.closing.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            let credentials: Vec<Credential> = {
                let mut watched = self.lock();
                if watched.credentials.is_empty() {
                    watched.looking = false;
                    return;
                }
                watched.credentials.keys().cloned().collect()
            };
            let good = match still_good(&self.0.pool, &credentials).await {
                Ok(good) => good,
                Err(error) => {
                    tracing::warn!(%error, "could not look whose sessions and keys are still good; trying on");
                    continue;
                }
            };
            let watched = self.lock();
            for credential in credentials.iter().filter(|it| !good.contains(*it)) {
                if let Some((_, ended)) = watched.credentials.get(credential) {
                    ended.cancel();
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.0.watched.lock()
    }
}

async fn still_good(pool: &PgPool, credentials: &[Credential]) -> sqlx::Result<HashSet<Credential>> {
    let (mut tokens, mut tenants, mut ids, mut asked) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for credential in credentials {
        match credential {
            Credential::Session(hash) => tokens.push(hash.clone()),
            Credential::Key { tenant, id } => {
                tenants.push(*tenant);
                ids.push(*id);
            }
            Credential::Grant(grant) => asked.push(*grant),
        }
    }
    let mut good = HashSet::new();
    if !tokens.is_empty() {
        let good_tokens = sessions::still_signed_in(pool, &tokens).await?;
        good.extend(good_tokens.into_iter().map(Credential::Session));
    }
    if !ids.is_empty() {
        let keys = keys::still_good(pool, &tenants, &ids).await?;
        good.extend(keys.into_iter().map(|(tenant, id)| Credential::Key { tenant, id }));
    }
    if !asked.is_empty() {
        let live = grants::live(pool, &asked).await?;
        good.extend(live.into_iter().map(|subject| Credential::Grant(subject.grant)));
    }
    Ok(good)
}

/// An answer that lasts.
#[derive(Debug)]
pub struct Watcher {
    all: Watchers,
    credential: Credential,
    ended: CancellationToken,
}

impl Watcher {
    /// The answer of the handlers; `None` when the credential has ended before it was there.
    pub async fn answer(self, request: Request, next: Next) -> Option<Response> {
        let response = tokio::select! {
            response = next.run(request) => response,
            () = self.ended.cancelled() => return None,
        };
        Some(self.hold(response))
    }

    /// Ends a body that is still being made with the credential. Events just stop; anything else
    /// breaks off, so that nobody takes a part for the whole.
    pub fn hold(self, response: Response) -> Response {
        if !is_stream(&response) {
            return response;
        }
        let media_type = response.headers().get(CONTENT_TYPE);
        let is_events = media_type.is_some_and(|it| it.as_bytes().starts_with(b"text/event-stream"));
        let (parts, body) = response.into_parts();
        let stream = unfold((body.into_data_stream(), self), move |(mut chunks, watcher)| async move {
            let chunk = tokio::select! {
                biased;
                () = watcher.ended.cancelled() => {
                    let broken = Err(axum::Error::new("the credential has ended"));
                    Some(broken).filter(|_| !is_events)?
                }
                chunk = chunks.next() => chunk?,
            };
            Some((chunk, (chunks, watcher)))
        });
        Response::from_parts(parts, Body::from_stream(stream))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut watched = self.all.lock();
        if let Some((answers, _)) = watched.credentials.get_mut(&self.credential) {
            *answers -= 1;
            if *answers == 0 {
                watched.credentials.remove(&self.credential);
            }
        }
    }
}

/// Whether the body of a response is still being made.
pub fn is_stream(response: &Response) -> bool {
    response.body().size_hint().exact().is_none()
}
