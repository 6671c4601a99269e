//! A line of the audit: what was done, and what became of what, in words.

use serde_json::{Map, Value};
use weirgate_identity::audit;
use weirgate_web::dashboard::when::When;

/// Letters of a remark; what is longer is opened by who wants it.
const LONGEST_IN_A_ROW: usize = 60;

pub(super) struct Entry {
    pub(super) id: i64,
    pub(super) when: When,
    pub(super) actor: String,
    pub(super) from: String,
    pub(super) action: String,
    pub(super) times: i32,
    pub(super) target: String,
    /// The target's page, if it has one.
    pub(super) path: Option<String>,
    /// How it was and is.
    pub(super) change: String,
    pub(super) more: String,
}

impl From<audit::Entry> for Entry {
    fn from(entry: audit::Entry) -> Self {
        let path = path(&entry);
        Self {
            id: entry.id,
            when: When::new(entry.at, entry.now),
            actor: entry.actor,
            from: match entry.address {
                Some(address) => format!("{}, {address}", entry.via),
                None => entry.via.to_string(),
            },
            path,
            action: entry.action,
            times: entry.times,
            target: entry.target,
            change: change(&entry.detail),
            more: more(&entry.detail),
        }
    }
}

impl Entry {
    /// The beginning of a remark that is too long for a row.
    pub(super) fn brief(&self) -> Option<&str> {
        let (end, _) = self.more.char_indices().nth(LONGEST_IN_A_ROW)?;
        let begin = &self.more[..end];
        Some(begin.rsplit_once(' ').map_or(begin, |(begin, _)| begin))
    }
}

fn path(entry: &audit::Entry) -> Option<String> {
    let (group, _) = entry.action.split_once('.')?;
    let (target, detail) = (&entry.target, &entry.detail);
    let part = match group {
        "job" => format!("jobs/{target}"),
        // The job that did it to all of them.
        "jobs" => format!("jobs/{}", detail["after"]["job"].as_str().or(detail["job"].as_str())?),
        "queue" if entry.action != "queue.rebase" => format!("queues/{target}"),
        "lane" => target.split_once('/').map(|(tenant, queue)| format!("tenants/{tenant}/lanes/{queue}"))?,
        "tenant" => format!("tenants/{target}"),
        "key" => format!("tenants/{}", entry.tenant.as_ref()?),
        "workflow" => format!("workflows/{target}"),
        "backfill" => format!("backfills/{target}"),
        "schedule" => "schedules".to_owned(),
        "worker" => format!("workers/{target}"),
        "account" => {
            let query = form_urlencoded::Serializer::new(String::new()).append_pair("q", target).finish();
            format!("accounts?{query}")
        }
        "client" => "accounts/clients".to_owned(),
        _ => return None,
    };
    Some(format!("/dashboard/{part}"))
}

/// `paused false → true`; `paused true (unchanged)`; what was made or ended as a whole.
fn change(detail: &Value) -> String {
    // Entries of earlier versions had other names.
    let side = |name: &str, old: &str| detail.get(name).or_else(|| detail.get(old));
    let (Some(before), Some(after)) = (side("before", "from"), side("after", "to")) else {
        return String::new();
    };
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
            let parts: Vec<String> = names.map(|name| member(name, before, after)).collect();
            if parts.is_empty() { "no change".to_owned() } else { parts.join("; ") }
        }
        (Value::Null, Value::Null) => "no change".to_owned(),
        (Value::Null, made) => words(made),
        (ended, Value::Null) => format!("was: {}", words(ended)),
        (before, after) => format!("{} → {}", words(before), words(after)),
    }
}

fn member(name: &str, before: &Map<String, Value>, after: &Map<String, Value>) -> String {
    let [before, after] = [before, after].map(|side| side.get(name).unwrap_or(&Value::Null));
    if before == after {
        format!("{name} {} (unchanged)", words(after))
    } else {
        format!("{name} {} → {}", words(before), words(after))
    }
}

/// What is told beside the change.
fn more(detail: &Value) -> String {
    let Value::Object(members) = detail else { return words(detail) };
    let is_side = |name: &str| ["before", "after", "from", "to"].contains(&name);
    let has_sides = members.contains_key("after") || members.contains_key("to");
    let rest = members.iter().filter(|(name, _)| !has_sides || !is_side(name));
    words(&Value::Object(rest.map(|(name, value)| (name.clone(), value.clone())).collect()))
}

/// A value as a sentence of names and values.
fn words(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_is_words() {
        let of = |before: Value, after: Value| change(&json!({ "before": before, "after": after }));
        assert_eq!(of(json!({ "paused": false }), json!({ "paused": true })), "paused false → true");
        assert_eq!(of(json!({ "paused": true }), json!({ "paused": true })), "paused true (unchanged)");
        assert_eq!(of(json!({}), json!({})), "no change");
        assert_eq!(of(json!(null), json!({ "role": "viewer" })), "role viewer");
        assert_eq!(of(json!({ "name": "seed" }), json!(null)), "was: name seed");
        let limits = of(json!({ "limits": null }), json!({ "limits": { "rate": 1, "burst": 5 } }));
        assert_eq!(limits, "limits none → burst 5; rate 1");
        assert_eq!(
            change(&json!({ "from": { "a": 1 }, "to": { "a": 2 } })),
            "a 1 → 2",
            "of an earlier version"
        );
        assert_eq!(change(&json!({ "queues": ["kpi"] })), "");
    }

    #[test]
    fn what_is_told_beside_it_is_words() {
        assert_eq!(more(&json!({})), "");
        assert_eq!(more(&json!({ "queues": ["kpi", "export"] })), "queues kpi, export");
        let detail = json!({ "before": null, "after": { "job": 1 }, "filter": { "kind": "a", "state": ["discarded"] } });
        assert_eq!(more(&detail), "filter: kind a; state discarded");
        // The days of a backfill, in an entry of an earlier version.
        assert_eq!(more(&json!({ "from": "2026-01-01", "kind": "a" })), "from 2026-01-01; kind a");
    }
}
