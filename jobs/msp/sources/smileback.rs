//! Customer satisfaction reviews from SmileBack, by its data replication API (version 3).

use std::num::NonZeroU32;
use std::sync::Arc;

use governor::Quota;
use reqwest::Client;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::answer::{Checks, Step};
use super::oauth::SignedIn;
use super::pages::{self, Fields};
use super::settings::{BaseUrl, Secret, public, usual_pages, usual_url};
use super::upstream::{Auth, Upstream};
use super::values::is_word;
use super::walk::{Page, Start};
use super::{RowStream, SourceError};

/// Its name in a place.
pub(super) const NAME: &str = "smileback";

const CHECKS: Checks = Checks {
    credentials: "client_id, client_secret, username and password",
    rights: "that the user may administrate the account",
};

/// SmileBack is said to allow 100 requests a minute.
const fn rate() -> NonZeroU32 {
    NonZeroU32::MIN
}

fn host() -> BaseUrl {
    usual_url("https://app.smileback.io")
}

/// An account at SmileBack.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmileBackSettings {
    /// The host, `https://app.smileback.io` if not set.
    #[serde(default = "host")]
    pub url: BaseUrl,
    /// The client id, from the account's page of API credentials.
    pub client_id: String,
    /// The client secret, from the same page.
    pub client_secret: Secret,
    /// The user who grants access: SmileBack's API signs in for a user, not for an application.
    pub username: Secret,
    /// That user's password.
    pub password: Secret,
    /// The most requests a second.
    #[serde(default = "rate")]
    pub requests_per_second: NonZeroU32,
    /// The most pages of a list; one that goes on for longer is an error.
    #[serde(default = "usual_pages")]
    pub max_pages: NonZeroU32,
}

/// Reads one account.
#[derive(Debug, Clone)]
pub struct SmileBack {
    account: Arc<SignedIn>,
    max_pages: NonZeroU32,
}

#[derive(Deserialize)]
struct Reviews {
    results: Vec<Box<RawValue>>,
    next: Option<String>,
}

impl SmileBack {
    pub(super) fn new(settings: SmileBackSettings, client: Client) -> Self {
        let quota = Quota::per_second(settings.requests_per_second);
        let upstream = Upstream::new(client, &settings.url, quota, CHECKS);
        let token_url = upstream.url(&["api", "token", ""]);
        let auth = Auth::Basic(settings.client_id, settings.client_secret);
        let form = vec![
            ("grant_type", public("password")),
            ("scope", public("read")),
            ("username", settings.username),
            ("password", settings.password),
        ];
        Self {
            account: Arc::new(SignedIn::new(upstream, token_url, auth, form)),
            max_pages: settings.max_pages,
        }
    }

    /// All reviews with a rating, or those from a place on.
    pub fn reviews(&self, tenant: &str, from: Option<&Value>) -> RowStream {
        let url = self.account.upstream.url(&["api", "v3", "reviews", ""]);
        let (account, tenant) = (Arc::clone(&self.account), tenant.to_owned());
        let first = url.clone();
        let fetch = move |cursor: Option<String>| {
            let (account, list) = (Arc::clone(&account), first.clone());
            async move {
                let step = Step::page(cursor.as_ref());
                let url = cursor.map_or(Ok(list.clone()), |link| account.upstream.follow(&list, &link))?;
                let page = account.get::<Reviews>(&url, step).await?;
                let next = page.next.map(|link| account.upstream.follow(&url, &link)).transpose();
                Ok::<_, SourceError>(Page { items: page.results, next: next.map(|it| it.map(String::from)) })
            }
        };
        let start = Start { upstream: NAME, url: &url, max_pages: self.max_pages, from };
        pages::rows(&start, fetch, move |it| review(it, &tenant))
    }
}

/// `None` for a review that was deleted, or not rated yet.
fn review(from: &Value, tenant: &str) -> Option<Value> {
    if from.pointer("/status").is_some_and(|it| is_word(it, "deleted"))
        || from.pointer("/rating").is_some_and(Value::is_null)
    {
        return None;
    }
    let (score, sentiment) = score(from.pointer("/rating"));
    let row = Fields::new(from, tenant)
        .copy_id("survey_id", "/id")
        .copy_id("ticket_id", "/ticket/id")
        .set("score", score)
        .set("sentiment", sentiment.map(Value::from))
        .copy("comment", &["/comment"])
        .copy("submitted_at", &["/rated_on"]);
    Some(row.done())
}

/// Ratings are 1, 0 and -1. As scores SmileBack counts them 100, 0 and -100, so that their mean is
/// the net score that its own pages show.
fn score(rating: Option<&Value>) -> (Option<Value>, Option<&'static str>) {
    match rating.and_then(Value::as_i64) {
        Some(1) => (Some(Value::from(100)), Some("positive")),
        Some(0) => (Some(Value::from(0)), Some("neutral")),
        Some(-1) => (Some(Value::from(-100)), Some("negative")),
        // A number would pass for a score on another scale.
        _ => (rating.map(|it| Value::from(format!("unknown rating {it}"))), None),
    }
}

#[cfg(test)]
#[path = "smileback_tests.rs"]
mod tests;
