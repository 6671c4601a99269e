//! Signing in by OAuth 2.0 (RFC 6749): a token in exchange for credentials, used until it is not accepted any more.

use std::sync::{Arc, Mutex, PoisonError};

use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::SourceError;
use super::settings::Secret;
use super::upstream::{Auth, Failure, Upstream, origin, unreadable};

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
    /// The settings that sign in, for errors.
    pub(super) credentials: &'static str,
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
        credentials: &'static str,
    ) -> Self {
        Self { upstream, token_url, auth, form, credentials, token: Mutex::new(None) }
    }

    /// Asks for JSON, with the token there is, or with a new one when there is none or it has expired. That is told
    /// by the upstream's answer and not by a clock.
    pub(super) async fn get<T: DeserializeOwned>(&self, url: &Url) -> Result<T, SourceError> {
        let kept = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(token) = kept {
            match self.upstream.get(url, &token).await {
                Err(Failure { status: Some(StatusCode::UNAUTHORIZED), .. }) => {}
                other => return Ok(other?.body),
            }
        }
        let token = self.sign_in().await?;
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&token));
        Ok(self.upstream.get(url, &token).await?.body)
    }

    async fn sign_in(&self) -> Result<Arc<Auth>, SourceError> {
        let granted = self.upstream.post::<Granted>(&self.token_url, &self.auth, &self.form).await;
        let granted = granted.map_err(|failure| self.explain(failure))?;
        let token = Auth::scheme("Bearer", &granted.body.access_token);
        let bad = || unreadable(&self.token_url, "the answer's token cannot be used".to_owned());
        token.map(Arc::new).ok_or_else(bad)
    }

    /// RFC 6749 answers wrong credentials with 400 where HTTP would with 401.
    fn explain(&self, failure: Failure) -> SourceError {
        match failure.status {
            Some(status @ (StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)) => {
                let (code, credentials) = (status.as_u16(), self.credentials);
                let reason = format!("the sign-in is not accepted (status {code}): check {credentials}");
                SourceError::Refused { origin: origin(&self.token_url), reason }
            }
            _ => failure.error,
        }
    }
}
