//! Tickets and time entries from ConnectWise PSA (Manage), by its REST API.
//!
//! Times are UTC, as its documentation says.
//!
//! Pages are asked for by number, in the order of ids, so that what is added meanwhile comes last
//! and moves nothing.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use governor::Quota;
use reqwest::Client;
use reqwest::header::{HeaderMap, LINK};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::answer::{Checks, Step};
use super::pages::{self, Fields};
use super::settings::{BaseUrl, Secret, usual_pages, usual_rate};
use super::upstream::{Auth, Upstream};
use super::values::is_word;
use super::walk::{Page, Start};
use super::{RowStream, SourceError};

/// Its name in a place.
pub(super) const NAME: &str = "connectwise";

/// The most objects a page of ConnectWise can have.
const PAGE_SIZE: usize = 1000;

const CHECKS: Checks = Checks {
    credentials: "company, public_key, private_key and client_id",
    rights: "that the API member's security role may inquire all service tickets and time entries",
};

/// The words for priorities that KPIs know.
const PRIORITIES: [&str; 4] = ["Low", "Medium", "High", "Critical"];

/// The words for statuses that KPIs take for closed.
const CLOSED: [&str; 3] = ["Closed", "Resolved", "Completed"];

/// An account at ConnectWise.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectWiseSettings {
    /// The API's host, such as `https://api-na.myconnectwise.net`.
    pub url: BaseUrl,
    /// The company id one signs in with.
    pub company: String,
    /// The public key of the API member.
    pub public_key: String,
    /// The private key of the API member.
    pub private_key: Secret,
    /// The client id of the integration, from ConnectWise's developer network.
    pub client_id: Secret,
    /// What this account's own names of priorities mean, such as `{"Priority 1 - Emergency":
    /// "Critical"}`.
    #[serde(default)]
    pub priorities: BTreeMap<String, String>,
    /// What this account's own names of statuses mean, such as `{"Erledigt": "Closed"}`.
    #[serde(default)]
    pub statuses: BTreeMap<String, String>,
    /// The most requests a second.
    #[serde(default = "usual_rate")]
    pub requests_per_second: NonZeroU32,
    /// The most pages of a list; one that goes on for longer is an error.
    #[serde(default = "usual_pages")]
    pub max_pages: NonZeroU32,
}

/// Reads one account.
#[derive(Debug, Clone)]
pub struct ConnectWise {
    upstream: Arc<Upstream>,
    auth: Auth,
    words: Arc<Words>,
    max_pages: NonZeroU32,
}

/// What an account's own names mean: by name in lower case.
#[derive(Debug)]
struct Words {
    priorities: BTreeMap<String, String>,
    statuses: BTreeMap<String, String>,
}

impl ConnectWise {
    pub(super) fn new(settings: ConnectWiseSettings, client: Client) -> Self {
        let quota = Quota::per_second(settings.requests_per_second);
        let upstream = Upstream::new(client, &settings.url, quota, CHECKS);
        let user = format!("{}+{}", settings.company, settings.public_key);
        Self {
            upstream: Arc::new(upstream.with_header("clientid", &settings.client_id)),
            auth: Auth::Basic(user, settings.private_key),
            words: Arc::new(Words {
                priorities: folded(settings.priorities),
                statuses: folded(settings.statuses),
            }),
            max_pages: settings.max_pages,
        }
    }

    /// All service tickets, or those from a place on.
    pub fn tickets(&self, tenant: &str, from: Option<&Value>) -> RowStream {
        let (tenant, words) = (tenant.to_owned(), Arc::clone(&self.words));
        self.rows(&["service", "tickets"], from, move |it| ticket(it, &tenant, &words))
    }

    /// All time entries on service tickets, or those from a place on.
    pub fn time_entries(&self, tenant: &str, from: Option<&Value>) -> RowStream {
        let tenant = tenant.to_owned();
        self.rows(&["time", "entries"], from, move |it| time_entry(it, &tenant))
    }

    fn rows(
        &self,
        path: &[&str],
        from: Option<&Value>,
        map: impl Fn(&Value) -> Option<Value> + Send + 'static,
    ) -> RowStream {
        let url = self.upstream.url(&[&["v4_6_release", "apis", "3.0"], path].concat());
        let (upstream, auth, list) = (Arc::clone(&self.upstream), self.auth.clone(), url.clone());
        let fetch = move |cursor: Option<String>| {
            let (upstream, auth, mut url) = (Arc::clone(&upstream), auth.clone(), list.clone());
            async move {
                let step = Step::page(cursor.as_ref());
                let number: u64 = cursor.and_then(|it| it.parse().ok()).unwrap_or(1);
                url.query_pairs_mut()
                    .append_pair("orderBy", "id asc")
                    .append_pair("pageSize", &PAGE_SIZE.to_string())
                    .append_pair("page", &number.to_string());
                let answer = upstream.get::<Vec<Box<RawValue>>>(&url, &auth, step).await?;
                let items = answer.body;
                // A short page ends the list, unless the upstream says that it goes on: it may cap
                // pages lower.
                let more = items.len() >= PAGE_SIZE || (!items.is_empty() && has_next(&answer.headers));
                Ok::<_, SourceError>(Page { items, next: Ok(more.then(|| (number + 1).to_string())) })
            }
        };
        let start = Start { upstream: NAME, url: &url, max_pages: self.max_pages, from };
        pages::rows(&start, fetch, map)
    }
}

/// Whether a `Link` header names a next page.
fn has_next(headers: &HeaderMap) -> bool {
    headers.get_all(LINK).iter().filter_map(|it| it.to_str().ok()).any(|it| it.contains("rel=\"next\""))
}

/// `None` for a project's ticket: the time on those is left out too.
fn ticket(from: &Value, tenant: &str, words: &Words) -> Option<Value> {
    if from.pointer("/recordType").is_some_and(|it| it.is_string() && !is_word(it, "ServiceTicket")) {
        return None;
    }
    let status = from.pointer("/status/name");
    let meaning = meaning(status, &words.statuses);
    let row = Fields::new(from, tenant)
        .copy_id("cw_ticket_id", "/id")
        .copy("board", &["/board/name"])
        .set("status", meaning.map(Value::from).or_else(|| status.filter(|it| !it.is_null()).cloned()))
        .set("priority", priority(from.pointer("/priority/name"), &words.priorities))
        .copy("summary", &["/summary"])
        // Lists do not have it today: it is write-only in the API's description.
        .copy("description", &["/initialDescription"])
        .copy("company", &["/company/name", "/company/identifier"])
        .copy("owner", &["/owner/identifier", "/owner/name"])
        // Older releases have the date at the top, newer ones among the metadata.
        .copy_utc("created_at_remote", &["/dateEntered", "/_info/dateEntered"])
        .copy_utc("updated_at_remote", &["/_info/lastUpdated"])
        .copy_utc("closed_at_remote", &["/closedDate"])
        .set("closed_flag", closed_flag(from, meaning))
        .set("sla_status", sla_status(from))
        .copy("estimated_hours", &["/budgetHours"]);
    Some(row.done())
}

fn folded(words: BTreeMap<String, String>) -> BTreeMap<String, String> {
    words.into_iter().map(|(name, word)| (fold(&name), word)).collect()
}

fn fold(name: &str) -> String {
    name.trim().to_lowercase()
}

/// What the settings say that a name means.
fn meaning<'a>(name: Option<&Value>, words: &'a BTreeMap<String, String>) -> Option<&'a str> {
    words.get(&fold(name?.as_str()?)).map(String::as_str)
}

/// Whether the ticket is closed: names of statuses are each account's own, so its flag says it, and
/// where that is missing the date. A status that the settings call closed is closed though
/// ConnectWise does not flag it.
fn closed_flag(from: &Value, meaning: Option<&str>) -> Option<Value> {
    if meaning.is_some_and(|it| CLOSED.iter().any(|word| word.eq_ignore_ascii_case(it.trim()))) {
        return Some(Value::from(true));
    }
    let flag = from.pointer("/closedFlag").filter(|it| !it.is_null());
    let is_dated = || from.pointer("/closedDate").is_some_and(|it| !it.is_null());
    flag.cloned().or_else(|| is_dated().then(|| Value::from(true)))
}

/// ConnectWise's priorities are named by each account, usually as `Priority 2 - High`. KPIs count
/// by the plain words, so the settings' translation comes first, then a plain word at the end, then
/// the name as it is.
fn priority(name: Option<&Value>, priorities: &BTreeMap<String, String>) -> Option<Value> {
    let name = name.filter(|it| !it.is_null())?;
    let Some(text) = name.as_str() else { return Some(name.clone()) };
    if let Some(word) = meaning(Some(name), priorities) {
        return Some(Value::from(word));
    }
    let last = text.rsplit(" - ").next().unwrap_or(text).trim();
    let word = PRIORITIES.into_iter().find(|it| it.eq_ignore_ascii_case(last));
    Some(Value::from(word.unwrap_or(text)))
}

/// The account's own word for it, or whether the agreement is kept, where there is one.
fn sla_status(from: &Value) -> Option<Value> {
    let text = from.pointer("/slaStatus").filter(|it| !it.is_null() && it.as_str() != Some(""));
    if let Some(text) = text {
        return Some(text.clone());
    }
    from.pointer("/sla").filter(|it| !it.is_null())?;
    let kept = from.pointer("/isInSla")?.as_bool()?;
    Some(Value::from(if kept { "OK" } else { "Breached" }))
}

/// `None` for time that is not worked on a service ticket: on projects, activities, or charge codes
/// such as holidays.
fn time_entry(from: &Value, tenant: &str) -> Option<Value> {
    let charged_to = from.pointer("/chargeToType").filter(|it| it.is_string());
    if charged_to.is_some_and(|it| !is_word(it, "ServiceTicket")) {
        return None;
    }
    let row = Fields::new(from, tenant)
        .copy_id("cw_time_entry_id", "/id")
        .copy("member", &["/member/identifier", "/member/name"])
        .copy("work_type", &["/workType/name"])
        .set("billable", from.pointer("/billableOption").map(|it| Value::from(is_word(it, "Billable"))))
        .set("minutes", from.pointer("/actualHours").and_then(minutes))
        .copy("notes", &["/notes"])
        // An instant: which day that is depends on the tenant's time zone.
        .copy_utc("date_worked", &["/timeStart"])
        .copy_utc("updated_at_remote", &["/_info/lastUpdated"]);
    // Without a type the id could be anything's: such a row has no ticket, and is refused for that.
    let row = if charged_to.is_some() { row.copy_id("cw_ticket_id", "/chargeToId") } else { row };
    Some(row.done())
}

#[expect(clippy::cast_possible_truncation, reason = "it saturates, and rows of so many minutes are refused")]
fn minutes(hours: &Value) -> Option<Value> {
    match hours.as_f64() {
        Some(hours) => Some(Value::from((hours * 60.0).round() as i64)),
        None if hours.is_null() => None,
        None => Some(hours.clone()),
    }
}

#[cfg(test)]
#[path = "connectwise_tests.rs"]
mod tests;
