//! The client of a server elsewhere: what commands with `--server` ask it for, through its HTTP
//! API.

mod address;
mod call;
mod refusal;
mod tries;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use chrono::{DateTime, Utc};
use reqwest::header::{ACCEPT, DATE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use weirgate_web::tls::http_client;

pub use address::Address;
pub(crate) use call::Call;
pub(crate) use refusal::Refused;
use tries::Tries;

use crate::output::tell;

/// Until there is a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Until there is an answer, beside what the server was asked to wait.
const ANSWER: Duration = Duration::from_secs(30);

/// Most items that a page of the API has.
const PAGE: usize = 500;

/// Speaks to one server with one token.
pub(crate) struct Client {
    http: reqwest::Client,
    address: Address,
    token: String,
    /// Whether it has answered before: then it is there, even while it does not answer.
    met: AtomicBool,
}

/// An answer that was read to its end.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// One page of a list.
#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    next: Option<String>,
}

impl Client {
    /// # Errors
    /// When the system's certificates cannot be used.
    pub(crate) fn new(address: Address, token: String) -> Result<Self> {
        // A POST that is redirected would become a GET, and the token would go to who knows whom.
        let http = http_client()
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .user_agent(concat!("weirgate/", env!("CARGO_PKG_VERSION")));
        // A proxy for the way out has no way in to this machine.
        let http = if address.is_here() { http.no_proxy() } else { http };
        let http = http.build().context("cannot make HTTP requests")?;
        if !address.is_private() {
            tell!("the token is sent to {address} unencrypted; use https:// where you can");
        }
        Ok(Self { http, address, token, met: AtomicBool::new(false) })
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// What the server answers.
    ///
    /// # Errors
    /// What the server said, for people, as [`Refused`] where it refuses; or that it does not
    /// answer.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, call: &Call) -> Result<T> {
        let answer = self.answer(call).await?;
        self.parse(call, &answer.body)
    }

    /// The same where the answer has nothing to tell.
    pub(crate) async fn tell(&self, call: &Call) -> Result<()> {
        self.answer(call).await.map(drop)
    }

    /// A list that is one page.
    pub(crate) async fn whole<T: DeserializeOwned>(&self, call: &Call) -> Result<Vec<T>> {
        self.ask(call).await.map(|page: Page<T>| page.items)
    }

    /// Page after page of a list, until there are `limit` items.
    pub(crate) async fn list<T: DeserializeOwned>(&self, call: &Call, limit: usize) -> Result<Vec<T>> {
        let mut items: Vec<T> = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let missing = limit - items.len();
            let page = call.clone().query("limit", &missing.min(PAGE)).some("cursor", cursor.as_ref());
            let page: Page<T> = self.ask(&page).await?;
            items.extend(page.items);
            // The rest of that URL is how the server believes that it is reached.
            let next = page.next.and_then(|next| Url::parse(&next).ok()).and_then(|next| {
                let mut pairs = next.query_pairs();
                pairs.find(|(name, _)| name == "cursor").map(|(_, cursor)| cursor.into_owned())
            });
            if next.is_none() || next == cursor || items.len() >= limit {
                items.truncate(limit);
                return Ok(items);
            }
            cursor = next;
        }
    }

    /// The server's time, to the second; none where something in between keeps it back.
    pub(crate) async fn now(&self) -> Result<Option<DateTime<Utc>>> {
        let answer = self.answer(&Call::get(["internal", "tenants"]).query("limit", &1)).await?;
        let date = answer.headers.get(DATE).and_then(|date| date.to_str().ok());
        Ok(date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()).map(|date| date.to_utc()))
    }

    fn parse<T: DeserializeOwned>(&self, call: &Call, body: &[u8]) -> Result<T> {
        let Ok(json) = serde_json::from_slice::<Value>(body) else {
            bail!(refusal::no_weirgate(&self.address, call, StatusCode::OK));
        };
        serde_json::from_value(json).with_context(|| {
            format!(
                "{} answered {call} in a form that this weirgate ({}) does not know; the server may have another version",
                self.address,
                env!("CARGO_PKG_VERSION")
            )
        })
    }

    /// The answer of a request that was taken. What may pass is waited for: a server that has too
    /// much to do, or has gone away after it had been there. Each request may be repeated: a POST
    /// has a key by which the server knows it.
    async fn answer(&self, call: &Call) -> Result<Answer> {
        if let Some(field) = call.blank() {
            bail!("{} is blank; give it a value, or leave it out", call.name_of(&field));
        }
        if let Some(segment) = call.no_name() {
            bail!("{segment:?} is not a valid name; expected one such as tenant_demo_cca");
        }
        let mut tries = Tries::new(call.patience());
        // Whether there was somebody at the other end during this call.
        let mut reached = self.met.load(Ordering::Relaxed);
        loop {
            let (why, pause) = match self.once(call).await {
                Ok(answer) => {
                    self.met.store(true, Ordering::Relaxed);
                    if answer.status.is_success() {
                        return Ok(answer);
                    }
                    if !refusal::may_pass(answer.status) {
                        return Err(self.refused(call, &answer));
                    }
                    reached = true;
                    (self.refused(call, &answer), seconds(&answer.headers))
                }
                Err(error) if error.is_builder() => bail!("cannot reach {}: {}", self.address, root(&error)),
                Err(error) if !reached && error.is_connect() => {
                    let root = root(&error);
                    bail!("no Weirgate answers at {}: {root}; {}", self.address, what_to_do(&root))
                }
                Err(error) => {
                    reached = true;
                    (anyhow::anyhow!("{} does not answer: {}", self.address, root(&error)), None)
                }
            };
            let Some(pause) = tries.next(pause) else { return Err(why) };
            if tries.is_first() {
                tell!("{why:#}; trying again for up to {} s", call.patience().as_secs());
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn once(&self, call: &Call) -> reqwest::Result<Answer> {
        let url = self.address.url(call.segments(), call.parameters());
        let mut request = self.http.request(call.method(), url).bearer_auth(&self.token);
        request = request.header(ACCEPT, "application/json").timeout(ANSWER + call.hold());
        if let Some(key) = call.key() {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = call.body() {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        Ok(Answer { status, headers, body: answer.bytes().await?.to_vec() })
    }

    fn refused(&self, call: &Call, answer: &Answer) -> anyhow::Error {
        let location = answer.headers.get(LOCATION).and_then(|location| location.to_str().ok());
        Refused::of(&self.address, call, answer.status, location, &answer.body).into()
    }
}

/// How long the server wants to be left alone.
fn seconds(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// What somebody may look at where there was no connection.
fn what_to_do(root: &str) -> &'static str {
    if root.contains("certificate") {
        "set SSL_CERT_FILE to a file with the certificate authorities to trust"
    } else if root.contains("corrupt message") {
        "the server does not speak TLS; should the URL begin with http:// instead of https://?"
    } else {
        "is it running, and is this its URL?"
    }
}

/// The cause of an error, which the errors around it only say to be one; none of them has more than
/// the URL to add.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    if error.is_timeout() { "it took too long".to_owned() } else { cause.to_string() }
}
