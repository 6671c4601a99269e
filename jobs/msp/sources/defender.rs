//! Alerts of Microsoft Defender XDR, by Microsoft Graph (`security/alerts_v2`).

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
use super::settings::{BaseUrl, Secret, public, usual_pages, usual_rate, usual_url};
use super::upstream::{Auth, Upstream};
use super::walk::{Page, Start};
use super::{RowStream, SourceError};

/// Its name in a place.
pub(super) const NAME: &str = "defender";

/// Alerts asked for at once; Graph may give fewer, and says where the rest is.
const PAGE_SIZE: &str = "100";

const CHECKS: Checks = Checks {
    credentials: "directory_id, client_id and client_secret, which expires",
    rights: "that the application has SecurityAlert.Read.All, and an administrator's consent to it",
};

fn host() -> BaseUrl {
    usual_url("https://graph.microsoft.com")
}

fn login_host() -> BaseUrl {
    usual_url("https://login.microsoftonline.com")
}

/// An application registered in a Microsoft Entra directory.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefenderSettings {
    /// Microsoft Graph's host, `https://graph.microsoft.com` if not set. National clouds have their
    /// own.
    #[serde(default = "host")]
    pub url: BaseUrl,
    /// The host that gives tokens, `https://login.microsoftonline.com` if not set.
    #[serde(default = "login_host")]
    pub login_url: BaseUrl,
    /// The directory ("tenant") whose alerts are read.
    pub directory_id: String,
    /// The application's id.
    pub client_id: Secret,
    /// The application's secret.
    pub client_secret: Secret,
    /// The most requests a second.
    #[serde(default = "usual_rate")]
    pub requests_per_second: NonZeroU32,
    /// The most pages of a list; one that goes on for longer is an error.
    #[serde(default = "usual_pages")]
    pub max_pages: NonZeroU32,
}

/// Reads one directory.
#[derive(Debug, Clone)]
pub struct Defender {
    account: Arc<SignedIn>,
    max_pages: NonZeroU32,
}

#[derive(Deserialize)]
struct Alerts {
    value: Vec<Box<RawValue>>,
    #[serde(rename = "@odata.nextLink")]
    next_link: Option<String>,
}

impl Defender {
    pub(super) fn new(settings: DefenderSettings, client: Client) -> Self {
        let quota = Quota::per_second(settings.requests_per_second);
        let upstream = Upstream::new(client, &settings.url, quota, CHECKS);
        let token_url = settings.login_url.join(&[&settings.directory_id, "oauth2", "v2.0", "token"]);
        let form = vec![
            ("grant_type", public("client_credentials")),
            ("client_id", settings.client_id),
            ("client_secret", settings.client_secret),
            ("scope", public(upstream.url(&[".default"]).as_str())),
        ];
        Self {
            account: Arc::new(SignedIn::new(upstream, token_url, Auth::None, form)),
            max_pages: settings.max_pages,
        }
    }

    /// All alerts that the directory still keeps, of every Defender product, or those from a place
    /// on.
    pub fn alerts(&self, tenant: &str, from: Option<&Value>) -> RowStream {
        let url = self.account.upstream.url(&["v1.0", "security", "alerts_v2"]);
        let (account, tenant) = (Arc::clone(&self.account), tenant.to_owned());
        let mut first = url.clone();
        first.set_query(Some(&format!("$top={PAGE_SIZE}")));
        let fetch = move |cursor: Option<String>| {
            let (account, list) = (Arc::clone(&account), first.clone());
            async move {
                let step = Step::page(cursor.as_ref());
                let url = cursor.map_or(Ok(list.clone()), |link| account.upstream.follow(&list, &link))?;
                let page = account.get::<Alerts>(&url, step).await?;
                let next = page.next_link.map(|link| account.upstream.follow(&url, &link)).transpose();
                Ok::<_, SourceError>(Page { items: page.value, next: next.map(|it| it.map(String::from)) })
            }
        };
        let start = Start { upstream: NAME, url: &url, max_pages: self.max_pages, from };
        pages::rows(&start, fetch, move |it| Some(alert(it, &tenant)))
    }
}

fn alert(from: &Value, tenant: &str) -> Value {
    Fields::new(from, tenant)
        .set("source", Some(Value::from("defender")))
        .copy_id("alert_id", "/id")
        .copy("severity", &["/severity"])
        .copy("title", &["/title"])
        .set("device", device(from))
        .copy("status", &["/status"])
        .copy_utc("detected_at", &["/createdDateTime", "/firstActivityDateTime"])
        .copy_utc("updated_at_remote", &["/lastUpdateDateTime"])
        .done()
}

/// The name of the first device among the evidence.
fn device(from: &Value) -> Option<Value> {
    let evidence = from.pointer("/evidence")?.as_array()?;
    let named = |it: &Value| {
        let names = ["/deviceDnsName", "/hostName"].into_iter().filter_map(|name| it.pointer(name));
        names.into_iter().find(|name| name.as_str().is_some_and(|it| !it.is_empty())).cloned()
    };
    let devices = evidence.iter().filter(|it| {
        it.pointer("/@odata.type").is_some_and(|kind| kind == "#microsoft.graph.security.deviceEvidence")
    });
    devices.into_iter().find_map(named)
}

#[cfg(test)]
#[path = "defender_tests.rs"]
mod tests;
