//! The one way to the systems rows come from: JSON over HTTPS, no faster than an account is
//! configured for, with every kind of failure told apart.
//!
//! Bodies of failed answers, queries and headers never become part of an error: they may hold
//! secrets.

use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode, redirect};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use url::{Url, form_urlencoded};
use weirgate_web::tls::http_client;

use super::SourceError;
use super::answer::{self, Checks, Step};
use super::settings::{BaseUrl, Secret};

/// The longest answer that is read.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// The longest answer to a refused sign-in that is read.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For a whole answer, to its last byte.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);

/// How a request says who it is.
#[derive(Debug, Clone)]
pub(super) enum Auth {
    /// HTTP Basic.
    Basic(String, Secret),
    /// The whole `Authorization` header.
    Header(HeaderValue),
    /// Not by a header.
    None,
}

impl Auth {
    /// `<scheme> <token>`; `None` when that is no header.
    pub(super) fn scheme(scheme: &str, token: &str) -> Option<Self> {
        let mut header = HeaderValue::try_from(format!("{scheme} {token}")).ok()?;
        header.set_sensitive(true);
        Some(Self::Header(header))
    }

    fn apply(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Basic(user, password) => request.basic_auth(user, Some(password.expose())),
            Self::Header(header) => request.header(AUTHORIZATION, header.clone()),
            Self::None => request,
        }
    }
}

/// A good answer.
#[derive(Debug)]
pub(super) struct Answer<T> {
    pub(super) body: T,
    pub(super) headers: HeaderMap,
}

/// No good answer; with its status when there was an answer at all.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: Option<StatusCode>,
    pub(super) error: SourceError,
}

impl From<Failure> for SourceError {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// One account at one upstream.
#[derive(Debug)]
pub(super) struct Upstream {
    client: Client,
    base: BaseUrl,
    limiter: DefaultDirectRateLimiter,
    headers: HeaderMap,
    checks: Checks,
}

/// The client that all upstreams share. Redirects are not followed: they would lead requests, and
/// what they carry, to hosts nobody configured.
pub(super) fn client_builder() -> ClientBuilder {
    http_client()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("weirgate/", env!("CARGO_PKG_VERSION")))
}

/// A URL as errors and rejected rows show it.
pub(super) fn origin(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    shown.into()
}

impl Upstream {
    pub(super) fn new(client: Client, base: &BaseUrl, quota: Quota, checks: Checks) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Self { client, base: base.clone(), limiter: RateLimiter::direct(quota), headers, checks }
    }

    /// Also sends this header with every request; nothing when it is no header.
    pub(super) fn with_header(mut self, name: &'static str, value: &Secret) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(value.expose()) {
            value.set_sensitive(true);
            self.headers.insert(name, value);
        }
        self
    }

    /// The URL of a path of the upstream.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        self.base.join(segments)
    }

    /// The URL of a link in an answer. Only its path and query are used, and only if it names the
    /// same host and port: an answer must not be able to send our credentials elsewhere. (A link
    /// may say `http:` when the upstream stands behind a proxy; the request is HTTPS all the same.)
    pub(super) fn follow(&self, from: &Url, link: &str) -> Result<Url, SourceError> {
        let refused = |reason: String| SourceError::Refused { origin: origin(from), reason };
        let linked = from
            .join(link)
            .map_err(|error| refused(format!("its link to the next page is wrong: {error}")))?;
        let base = self.base.as_url();
        if linked.host() != base.host() || linked.port() != base.port() {
            let host = linked.host_str().unwrap_or("nowhere");
            return Err(refused(format!("its link to the next page leads to another host, {host}")));
        }
        let mut url = base.clone();
        url.set_path(linked.path());
        url.set_query(linked.query());
        Ok(url)
    }

    /// Asks for JSON.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        url: &Url,
        auth: &Auth,
        step: Step,
    ) -> Result<Answer<T>, Failure> {
        self.send(url, step, auth.apply(self.client.get(url.clone()))).await
    }

    /// Posts the form of a sign-in, and gets JSON.
    pub(super) async fn sign_in<T: DeserializeOwned>(
        &self,
        url: &Url,
        auth: &Auth,
        form: &[(&'static str, Secret)],
    ) -> Result<Answer<T>, Failure> {
        let request = self
            .client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(encoded(form));
        self.send(url, Step::SignIn, auth.apply(request)).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        url: &Url,
        step: Step,
        request: RequestBuilder,
    ) -> Result<Answer<T>, Failure> {
        self.limiter.until_ready().await;
        let lost = |error: reqwest::Error| Failure { status: None, error: unreadable(url, in_words(error)) };
        let response = request.headers(self.headers.clone()).send().await.map_err(lost)?;
        let status = response.status();
        if !status.is_success() {
            return Err(Failure { status: Some(status), error: self.failed(url, step, response).await });
        }
        let headers = response.headers().clone();
        let whole = read(response, MAX_ANSWER_BYTES).await.and_then(|bytes| parse(&bytes));
        match whole {
            Ok(body) => Ok(Answer { body, headers }),
            Err(reason) => Err(Failure { status: Some(status), error: unreadable(url, reason) }),
        }
    }

    async fn failed(&self, url: &Url, step: Step, response: Response) -> SourceError {
        let error = answer::failed(origin(url), step, response.status(), response.headers(), &self.checks);
        if step == Step::SignIn && matches!(error, SourceError::Refused { .. }) {
            let body = read(response, MAX_REFUSAL_BYTES).await.unwrap_or_default();
            if answer::sign_in_may_pass(&body) {
                return unreadable(url, "the sign-in is not possible for the moment".to_owned());
            }
        }
        error
    }
}

pub(super) fn unreadable(url: &Url, reason: String) -> SourceError {
    SourceError::Unreadable { origin: origin(url), reason }
}

fn encoded(form: &[(&'static str, Secret)]) -> String {
    let pairs = form.iter().map(|(name, value)| (name, value.expose()));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

async fn read(mut response: Response, most: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(in_words)? {
        if bytes.len() + chunk.len() > most {
            return Err(format!("the answer is longer than {} MiB", most / (1024 * 1024)));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Does not use the parser's own words: they quote the answer, which may hold a token.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| {
        let what = match error.classify() {
            Category::Data => "is not of the form that is known",
            Category::Eof => "is JSON that breaks off",
            Category::Syntax | Category::Io => "is not JSON",
        };
        format!("the answer {what} (line {} column {})", error.line(), error.column())
    })
}

fn in_words(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    // The URL is named already, and may have a query.
    let error = error.without_url();
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        words = format!("{words}: {inner}");
        cause = inner.source();
    }
    words
}

#[cfg(test)]
#[path = "upstream_tests.rs"]
mod tests;
