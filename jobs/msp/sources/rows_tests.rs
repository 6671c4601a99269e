use super::super::parse;
use super::*;
use chrono_tz::Tz;
use serde_json::{Value, json};

#[path = "values_tests.rs"]
mod values;

fn ticket() -> Value {
    json!({
        "tenant_id": "tenant_a", "cw_ticket_id": "TKT-001", "board": "Service",
        "status": "In Progress", "priority": "High", "summary": "Cannot access email",
        "description": "Outlook", "company": "Acme Corp", "owner": "tech1@msp.com",
        "created_at_remote": "2026-01-20T09:00:00Z",
        "updated_at_remote": "2026-01-20T14:30:00Z",
        "sla_status": "OK", "estimated_hours": 2.0
    })
}

fn entry() -> Value {
    json!({
        "cw_time_entry_id": "TE-001", "cw_ticket_id": "TKT-001", "billable": true,
        "minutes": 45, "date_worked": "2026-01-20"
    })
}

fn survey() -> Value {
    json!({
        "survey_id": "SRV-001", "ticket_id": "TKT-001", "score": 5,
        "submitted_at": "2026-01-20T16:00:00Z"
    })
}

fn alert() -> Value {
    json!({
        "source": "sentinelone", "alert_id": "S1-001", "severity": "high",
        "status": "resolved", "detected_at": "2026-01-19T08:15:00Z"
    })
}

/// The reason given for a row once one of its fields is set.
fn reason<R: Row + std::fmt::Debug>(row: &Value, field: &str, value: Value) -> String {
    let mut row = row.clone();
    row[field] = value;
    read::<R>(&row.to_string()).expect_err("refused")
}

fn read<R: Row>(text: &str) -> Result<R, String> {
    parse(text, "tenant_a", Tz::UTC)
}

fn accepted<R: Row>(row: &Value, field: &str, value: Value) -> R {
    let mut row = row.clone();
    row[field] = value;
    read(&row.to_string()).expect("accepted")
}

fn without<R: Row + std::fmt::Debug>(row: &Value, field: &str) -> Result<R, String> {
    let mut row = row.clone();
    row.as_object_mut().expect("an object").remove(field);
    read(&row.to_string())
}

#[test]
fn good_rows_are_read_whole_and_written_back_alike() {
    let row: Ticket = read(&ticket().to_string()).expect("good");
    assert_eq!(serde_json::to_value(&row).expect("JSON"), ticket());
    let row: TimeEntry = read(&entry().to_string()).expect("good");
    assert_eq!(serde_json::to_value(&row).expect("JSON"), entry());
    let row: CsatSurvey = read(&survey().to_string()).expect("good");
    let again: CsatSurvey = read(&serde_json::to_string(&row).expect("JSON")).expect("good");
    assert_eq!(row, again);
    let row: SecurityAlert = read(&alert().to_string()).expect("good");
    assert_eq!(serde_json::to_value(&row).expect("JSON"), alert());
}

#[test]
fn text_that_is_no_json_object_is_refused() {
    let says = |text: &str| read::<TimeEntry>(text).expect_err("refused");
    assert_eq!(says(r#"{"minutes": nope}"#), "line is not JSON: expected ident at column 14");
    assert_eq!(says(r#"{"minutes": ,}"#), "line is not JSON: expected value at column 13");
    assert_eq!(says("{\"minutes\":\n\n x}"), "row is not JSON: expected value at column 2 of its line 3");
    assert!(says(r#"{"minutes": 1"#).starts_with("line is not JSON: EOF"));
    assert!(says(&format!("{} x", entry())).starts_with("line is not JSON: trailing"));
    assert_eq!(says(r#"["TE-1","TKT-1",true,1,"2026-01-20"]"#), "row is not a JSON object but an array");
    assert_eq!(says("12"), "row: invalid type: integer `12`, expected struct TimeEntry");
    assert!(says(&"[".repeat(10_000)).contains("array"));
    let deep = format!("{{\"x\":{}", "[".repeat(100_000));
    assert!(says(&deep).starts_with("line is not JSON: EOF"));
}

#[test]
fn required_fields_must_be_there_and_not_null() {
    fn all_required<R: Row + std::fmt::Debug>(row: &Value, required: &[&str]) {
        for field in row.as_object().expect("an object").keys() {
            let found = without::<R>(row, field);
            if required.contains(&field.as_str()) {
                assert_eq!(found.expect_err("refused"), format!("{field}: is missing"));
                let null = reason::<R>(row, field, Value::Null);
                assert!(null.starts_with(&format!("{field}: invalid type: null")), "{null}");
            } else {
                assert!(found.is_ok(), "{field} is optional");
                accepted::<R>(row, field, Value::Null);
            }
        }
    }
    all_required::<Ticket>(
        &ticket(),
        &["cw_ticket_id", "status", "priority", "created_at_remote", "updated_at_remote"],
    );
    all_required::<TimeEntry>(
        &entry(),
        &["cw_time_entry_id", "cw_ticket_id", "billable", "minutes", "date_worked"],
    );
    all_required::<CsatSurvey>(&survey(), &["survey_id", "ticket_id", "score", "submitted_at"]);
    all_required::<SecurityAlert>(&alert(), &["source", "alert_id", "severity", "status", "detected_at"]);
}

#[test]
fn wrong_types_are_refused_and_unknown_fields_are_not() {
    assert_eq!(
        reason::<TimeEntry>(&entry(), "minutes", json!("45")),
        "minutes: invalid type: string \"45\", expected i64"
    );
    let found = reason::<TimeEntry>(&entry(), "billable", json!(1));
    assert!(found.starts_with("billable: invalid type"), "{found}");
    let found = reason::<TimeEntry>(&entry(), "minutes", json!(4.5));
    assert!(found.starts_with("minutes: invalid type"), "{found}");
    let found = reason::<Ticket>(&ticket(), "closed_at_remote", json!(12));
    assert!(found.starts_with("closed_at_remote: invalid type"), "{found}");
    accepted::<TimeEntry>(&entry(), "approved_by", json!({"name": ["x"]}));
    let twice = r#"{"minutes": 1, "minutes": 2}"#;
    let found = read::<TimeEntry>(twice).expect_err("refused");
    assert!(found.contains("duplicate field `minutes`"), "{found}");
    let long = reason::<TimeEntry>(&entry(), "minutes", json!("x\0".repeat(5000)));
    assert!(long.chars().count() <= 300 && !long.contains('\0'), "{long}");
}

#[test]
fn ids_are_neither_empty_nor_endless() {
    let says = |it: &str| reason::<Ticket>(&ticket(), "cw_ticket_id", json!(it));
    assert_eq!(says(""), "cw_ticket_id: is empty");
    assert_eq!(says(" \t"), "cw_ticket_id: is empty");
    assert_eq!(says(&"é".repeat(201)), "cw_ticket_id: has 201 characters, more than 200");
    accepted::<Ticket>(&ticket(), "cw_ticket_id", json!("é".repeat(200)));
    assert_eq!(reason::<Ticket>(&ticket(), "status", json!("")), "status: is empty");
    assert_eq!(reason::<SecurityAlert>(&alert(), "source", json!("")), "source: is empty");
}

#[test]
fn another_tenants_row_is_refused() {
    let says = |it: Value| reason::<Ticket>(&ticket(), "tenant_id", it);
    assert_eq!(says(json!("tenant_b")), "tenant_id: \"tenant_b\" is another tenant");
    assert_eq!(says(json!("")), "tenant_id: \"\" is another tenant");
    assert_eq!(says(json!("Tenant_a")), "tenant_id: \"Tenant_a\" is another tenant");
    assert!(says(json!("x".repeat(9999))).len() < 100);
    assert!(without::<Ticket>(&ticket(), "tenant_id").is_ok());
}

#[test]
fn no_text_may_hold_a_nul() {
    fn all_texts<R: Row + std::fmt::Debug>(row: &Value, texts: &[&str]) {
        for field in texts {
            let found = reason::<R>(row, field, json!("a\0b"));
            assert_eq!(found, format!("{field}: has a NUL character in it"));
        }
    }
    let texts = ["cw_ticket_id", "board", "status", "priority", "summary", "description"];
    all_texts::<Ticket>(&ticket(), &texts);
    all_texts::<Ticket>(&ticket(), &["company", "owner", "sla_status"]);
    let texts = ["cw_time_entry_id", "cw_ticket_id", "member", "work_type", "notes"];
    all_texts::<TimeEntry>(&entry(), &texts);
    all_texts::<CsatSurvey>(&survey(), &["survey_id", "ticket_id", "sentiment", "comment"]);
    let texts = ["source", "alert_id", "severity", "title", "device", "status"];
    all_texts::<SecurityAlert>(&alert(), &texts);
}
