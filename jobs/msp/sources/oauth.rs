//! Signing in by OAuth 2.0 (RFC 6749): a token in exchange for credentials, used until it is not
//! accepted any more.

use std::sync::Arc;

use parking_lot::Mutex;
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::SourceError;
use super::answer::Step;
use super::settings::Secret;
use super::upstream::{Auth, Failure, Upstream, unreadable};

/// An upstream that wants a token.
#[derive(Debug)]
pub(super) struct SignedIn {
    pub(super) upstream: Upstream,
    /// Where tokens are given.
    pub(super) token_url: Url,
    /// How the request for a token says who it is, beside its form.
    pub(super) auth: Auth,
    /// The form of that request.
    pub(super) form: Vec<(&'static str, Secret)>,
    token: Mutex<Option<Arc<Auth>>>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
}

impl SignedIn {
    pub(super) fn new(
        upstream: Upstream,
        token_url: Url,
        auth: Auth,
        form: Vec<(&'static str, Secret)>,
    ) -> Self {
        Self { upstream, token_url, auth, form, token: Mutex::new(None) }
    }

    /// Asks for JSON, with the token there is, or with a new one when there is none or it has
    /// expired. That is told by the upstream's answer and not by a clock.
    pub(super) async fn get<T: DeserializeOwned>(&self, url: &Url, step: Step) -> Result<T, SourceError> {
        let kept = self.token.lock().clone();
        if let Some(token) = kept {
            match self.upstream.get(url, &token, step).await {
                Err(Failure { status: Some(StatusCode::UNAUTHORIZED), .. }) => {}
                other => return Ok(other?.body),
            }
        }
        let token = self.sign_in().await?;
        *self.token.lock() = Some(Arc::clone(&token));
        Ok(self.upstream.get(url, &token, step).await?.body)
    }

    async fn sign_in(&self) -> Result<Arc<Auth>, SourceError> {
        let granted = self.upstream.sign_in::<Granted>(&self.token_url, &self.auth, &self.form).await?;
        let token = Auth::scheme("Bearer", &granted.body.access_token);
        let bad = || unreadable(&self.token_url, "the answer's token cannot be used".to_owned());
        token.map(Arc::new).ok_or_else(bad)
    }
}
