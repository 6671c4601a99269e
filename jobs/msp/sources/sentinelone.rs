//! Threats from SentinelOne, by its management console's API (version 2.1).

use std::num::NonZeroU32;
use std::sync::Arc;

use governor::Quota;
use reqwest::Client;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::answer::{Checks, Step};
use super::pages::{self, Fields};
use super::settings::{BaseUrl, Secret, usual_pages, usual_rate};
use super::upstream::{Auth, Upstream};
use super::walk::{Page, Start};
use super::{RowStream, SourceError};

/// Its name in a place.
pub(super) const NAME: &str = "sentinelone";

/// The most threats a page can have.
const PAGE_SIZE: &str = "1000";

const CHECKS: Checks = Checks {
    credentials: "api_token, which expires",
    rights: "that the token's user may view threats in the site or account",
};

/// An account at SentinelOne.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentinelOneSettings {
    /// The console's host, such as `https://example.sentinelone.net`.
    pub url: BaseUrl,
    /// The API token of a (service) user; its scope decides whose threats are read.
    pub api_token: Secret,
    /// The most requests a second.
    #[serde(default = "usual_rate")]
    pub requests_per_second: NonZeroU32,
    /// The most pages of a list; one that goes on for longer is an error.
    #[serde(default = "usual_pages")]
    pub max_pages: NonZeroU32,
}

/// Reads one account.
#[derive(Debug, Clone)]
pub struct SentinelOne {
    upstream: Arc<Upstream>,
    auth: Auth,
    max_pages: NonZeroU32,
}

#[derive(Deserialize)]
struct Threats {
    data: Vec<Box<RawValue>>,
    pagination: Pagination,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pagination {
    next_cursor: Option<String>,
}

impl SentinelOne {
    pub(super) fn new(settings: &SentinelOneSettings, client: Client) -> Self {
        let quota = Quota::per_second(settings.requests_per_second);
        let upstream = Arc::new(Upstream::new(client, &settings.url, quota, CHECKS));
        // A secret is plain ASCII, so it always makes a header.
        let auth = Auth::scheme("ApiToken", settings.api_token.expose()).unwrap_or(Auth::None);
        Self { upstream, auth, max_pages: settings.max_pages }
    }

    /// All threats in the token's scope, or those from a place on.
    pub fn threats(&self, tenant: &str, from: Option<&Value>) -> RowStream {
        let url = self.upstream.url(&["web", "api", "v2.1", "threats"]);
        let (upstream, auth, list) = (Arc::clone(&self.upstream), self.auth.clone(), url.clone());
        let fetch = move |cursor: Option<String>| {
            let (upstream, auth, mut url) = (Arc::clone(&upstream), auth.clone(), list.clone());
            async move {
                let step = Step::page(cursor.as_ref());
                url.query_pairs_mut().append_pair("limit", PAGE_SIZE);
                if let Some(cursor) = cursor {
                    url.query_pairs_mut().append_pair("cursor", &cursor);
                }
                let page = upstream.get::<Threats>(&url, &auth, step).await?.body;
                let next = page.pagination.next_cursor.filter(|it| !it.is_empty());
                Ok::<_, SourceError>(Page { items: page.data, next: Ok(next) })
            }
        };
        let tenant = tenant.to_owned();
        let start = Start { upstream: NAME, url: &url, max_pages: self.max_pages, from };
        pages::rows(&start, fetch, move |it| Some(threat(it, &tenant)))
    }
}

/// SentinelOne gives a threat no severity; how sure it is that something is malicious comes
/// nearest.
fn threat(from: &Value, tenant: &str) -> Value {
    Fields::new(from, tenant)
        .set("source", Some(Value::from("sentinelone")))
        .copy_id("alert_id", "/id")
        .copy("severity", &["/threatInfo/confidenceLevel"])
        .copy("title", &["/threatInfo/threatName", "/threatInfo/classification"])
        .copy("device", &["/agentRealtimeInfo/agentComputerName"])
        .copy("status", &["/threatInfo/incidentStatus"])
        .copy_utc("detected_at", &["/threatInfo/identifiedAt", "/threatInfo/createdAt"])
        .copy_utc("updated_at_remote", &["/threatInfo/updatedAt"])
        .done()
}

#[cfg(test)]
#[path = "sentinelone_tests.rs"]
mod tests;
