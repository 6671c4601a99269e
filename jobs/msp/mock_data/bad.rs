//! Rows that are bad on purpose: each kind breaks one rule of the rows.

use serde_json::{Value, json};

use super::good::Rows;
use crate::sources::Dataset;

/// How many kinds of bad rows there are for each dataset.
pub(super) const KINDS: u64 = 11;

/// The fields which are spoiled.
struct Fields {
    id: &'static str,
    text: &'static str,
    time: &'static str,
    impossible_time: &'static str,
    /// A field and a value of the right type that breaks a rule.
    silly: (&'static str, Value),
    /// A field and a value of a wrong type.
    mistyped: (&'static str, Value),
}

fn fields(dataset: Dataset) -> Fields {
    match dataset {
        Dataset::Tickets => Fields {
            id: "cw_ticket_id",
            text: "summary",
            time: "created_at_remote",
            impossible_time: "2026-02-30T09:00:00Z",
            silly: ("closed_at_remote", json!("1970-01-01T00:00:00Z")),
            mistyped: ("estimated_hours", json!("two")),
        },
        Dataset::TimeEntries => Fields {
            id: "cw_time_entry_id",
            text: "notes",
            time: "date_worked",
            impossible_time: "2026-02-30",
            silly: ("minutes", json!(-5)),
            mistyped: ("billable", json!("yes")),
        },
        Dataset::Csat => Fields {
            id: "survey_id",
            text: "comment",
            time: "submitted_at",
            impossible_time: "2026-01-20T25:00:00Z",
            silly: ("score", json!(500)),
            mistyped: ("score", json!("five")),
        },
        Dataset::SecurityAlerts => Fields {
            id: "alert_id",
            text: "title",
            time: "detected_at",
            impossible_time: "yesterday",
            silly: ("severity", json!("")),
            mistyped: ("device", json!(17)),
        },
    }
}

/// Bad row number `number` (from 0) of a dataset: of the next kind each time.
pub(super) fn row(rows: &Rows, dataset: Dataset, number: u64) -> Vec<u8> {
    let fields = fields(dataset);
    let mut row = sample(dataset, &rows.slug);
    row[fields.id] = json!(format!("BAD-{:04}", number + 1));
    match number % KINDS {
        0 => return replaced(&row, fields.time, "nope"),
        1 => {
            let left: serde_json::Map<String, Value> = row
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(name, _)| *name != fields.id)
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            row = Value::from(left);
        }
        2 => row["tenant_id"] = json!("tenant_of_someone_else"),
        3 => row[fields.mistyped.0] = fields.mistyped.1,
        4 => row[fields.silly.0] = fields.silly.1,
        5 => row[fields.time] = json!(fields.impossible_time),
        6 => row[fields.text] = json!("ends in a NUL \0"),
        7 => row[fields.id] = json!("X".repeat(201)),
        8 => {
            let mut text = row.to_string().into_bytes();
            text.truncate(text.len() / 2);
            return text;
        }
        9 => return replaced(&row, fields.text, b"\"not UTF-8: \xFF\""),
        _ => row = json!("a text and not a row"),
    }
    row.to_string().into_bytes()
}

/// A good row of each dataset.
fn sample(dataset: Dataset, slug: &str) -> Value {
    match dataset {
        Dataset::Tickets => json!({
            "tenant_id": slug, "cw_ticket_id": "", "status": "New", "priority": "Low",
            "summary": "Cannot sign in", "created_at_remote": "2026-01-20T09:00:00Z",
            "updated_at_remote": "2026-01-20T09:00:00Z",
        }),
        Dataset::TimeEntries => json!({
            "tenant_id": slug, "cw_time_entry_id": "", "cw_ticket_id": "TKT-0001",
            "billable": true, "minutes": 15, "notes": "Called back", "date_worked": "2026-01-20",
        }),
        Dataset::Csat => json!({
            "tenant_id": slug, "survey_id": "", "ticket_id": "TKT-0001", "score": 4,
            "comment": "Good service", "submitted_at": "2026-01-20T16:00:00Z",
        }),
        Dataset::SecurityAlerts => json!({
            "tenant_id": slug, "source": "defender", "alert_id": "", "severity": "low",
            "title": "Unusual sign-in", "status": "new", "detected_at": "2026-01-20T11:30:00Z",
        }),
    }
}

/// The row's text with one field's value put in as it is, JSON or not.
fn replaced(row: &Value, field: &str, with: impl AsRef<[u8]>) -> Vec<u8> {
    let text = row.to_string();
    let old = format!("\"{field}\":{}", row[field]);
    let (head, tail) = text.split_once(&old).unwrap_or((&text, ""));
    let name = format!("\"{field}\":");
    [head.as_bytes(), name.as_bytes(), with.as_ref(), tail.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::parse;
    use crate::sources::rows::{CsatSurvey, Row, SecurityAlert, Ticket, TimeEntry};

    fn samples_are_good_but_for_their_id<R: Row>() {
        let mut row = sample(R::DATASET, "tenant_a");
        row[fields(R::DATASET).id] = json!("X-1");
        assert!(parse::<R>(&row.to_string(), "tenant_a", chrono_tz::Tz::UTC).is_ok(), "{row}");
    }

    #[test]
    fn what_is_bad_is_only_what_was_spoiled() {
        samples_are_good_but_for_their_id::<Ticket>();
        samples_are_good_but_for_their_id::<TimeEntry>();
        samples_are_good_but_for_their_id::<CsatSurvey>();
        samples_are_good_but_for_their_id::<SecurityAlert>();
    }
}
