//! Who did what, when, to what, from where.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde_json::Value;

use super::session::{Session, filled};
use super::view::{Frame, Refusal, When, page};
use crate::audit::{self, Filter, Listed};
use crate::http::Api;
use crate::http::params::Fields;

const ON_A_PAGE: i64 = 100;

/// Letters of a detail; what is longer is opened by who wants it.
const LONGEST_IN_A_ROW: usize = 60;

/// Groups of actions, to choose from.
const GROUPS: [&str; 13] = [
    "sign_in", "sign_out", "job", "jobs", "queue", "lane", "tenant", "workflow", "backfill", "schedule",
    "worker", "user", "key",
];

struct Entry {
    id: i64,
    when: When,
    actor: String,
    from: String,
    action: String,
    times: i32,
    target: String,
    job: bool,
    detail: String,
}

impl From<audit::Entry> for Entry {
    fn from(entry: audit::Entry) -> Self {
        Self {
            id: entry.id,
            when: When::new(entry.at, entry.now),
            actor: entry.actor,
            from: match entry.address {
                Some(address) => format!("{}, {address}", entry.via),
                None => entry.via,
            },
            job: entry.action.starts_with("job."),
            action: entry.action,
            times: entry.times,
            target: entry.target,
            detail: words(&entry.detail),
        }
    }
}

impl Entry {
    /// The beginning of a detail that is too long for a row.
    fn brief(&self) -> Option<&str> {
        let (end, _) = self.detail.char_indices().nth(LONGEST_IN_A_ROW)?;
        let begin = &self.detail[..end];
        Some(begin.rsplit_once(' ').map_or(begin, |(begin, _)| begin))
    }
}

/// A detail as a sentence of names and values.
fn words(detail: &Value) -> String {
    match detail {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => detail.to_string(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| match value {
                Value::Object(_) => format!("{name}: {}", words(value)),
                _ => format!("{name} {}", words(value)),
            };
            members.iter().map(member).collect::<Vec<_>>().join("; ")
        }
    }
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    entries: Vec<Entry>,
    filter: Filter,
    groups: &'static [&'static str],
    next: Option<String>,
}

impl AuditPage {
    fn is_filtered(&self) -> bool {
        self.filter.actor.is_some() || self.filter.action.is_some()
    }
}

pub(super) async fn show(
    State(api): State<Api>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let mut fields = Fields::of_pairs(filled(query.unwrap_or_default().as_bytes()));
    let before = fields.in_range("before", 1..=i64::MAX);
    let filter = Filter { actor: fields.get("actor"), action: fields.get("action") };
    let (before, filter) = fields
        .finish(Some((before, filter)))
        .map_err(|problem| Refusal::from(problem).for_session(&session))?;
    let mut conn = api.pool.acquire().await?;
    let Listed { entries, next } = audit::list(&mut conn, &filter, before, ON_A_PAGE).await?;
    let next = next.map(|id| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(filter.action.iter().map(|action| ("action", action)));
        query.extend_pairs(filter.actor.iter().map(|actor| ("actor", actor)));
        query.append_pair("before", &id.to_string()).finish()
    });
    let entries = entries.into_iter().map(Entry::from).collect();
    Ok(page(&AuditPage { frame: Frame::new(&session, "/audit"), entries, filter, groups: &GROUPS, next }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn details_are_words() {
        assert_eq!(words(&json!({})), "");
        let limits = json!({ "from": null, "to": { "rate": 1, "burst": 5 }, "queues": ["kpi", "export"] });
        assert_eq!(words(&limits), "from none; queues kpi, export; to: burst 5; rate 1");
    }
}
