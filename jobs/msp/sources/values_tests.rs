//! The rules for dates, timestamps and numbers.

use super::*;

#[test]
fn minutes_have_bounds() {
    let says = |it: i64| reason::<TimeEntry>(&entry(), "minutes", json!(it));
    assert_eq!(says(-5), "minutes: -5 is negative");
    assert_eq!(says(44_641), "minutes: 44641 is more than 44640 (31 days)");
    for minutes in [0, 44_640] {
        accepted::<TimeEntry>(&entry(), "minutes", json!(minutes));
    }
}

#[test]
fn dates_must_exist() {
    let says = |it: &str| reason::<TimeEntry>(&entry(), "date_worked", json!(it));
    assert_eq!(says("2026-02-30"), "date_worked: \"2026-02-30\" is not a date");
    for text in ["", "2026-1-5", " 2026-01-05", "05/01/2026"] {
        assert!(says(text).ends_with("is not a date"), "{text}");
    }
    for text in ["1969-12-31", "2100-01-01"] {
        assert!(says(text).ends_with("is not between 1970 and 2099"), "{text}");
    }
    accepted::<TimeEntry>(&entry(), "date_worked", json!("2024-02-29"));
}

#[test]
fn timestamps_are_rfc_3339_with_or_without_an_offset() {
    let read = |it: &str| {
        let row: Ticket = accepted(&ticket(), "created_at_remote", json!(it));
        row.created_at_remote.to_rfc3339()
    };
    assert_eq!(read("2026-01-20T09:00:00Z"), "2026-01-20T09:00:00+00:00");
    assert_eq!(read("2026-01-20T09:00:00"), "2026-01-20T09:00:00+00:00");
    assert_eq!(read("2026-01-20T09:00:00+02:00"), "2026-01-20T07:00:00+00:00");
    assert_eq!(read("2026-01-20T09:00:00.25"), "2026-01-20T09:00:00.250+00:00");
    assert_eq!(read("2026-01-20T09:00:00.123456789Z"), "2026-01-20T09:00:00.123456+00:00");
    assert_eq!(read("2026-01-20T23:59:60Z"), "2026-01-21T00:00:00+00:00");

    let says = |it: &str| reason::<Ticket>(&ticket(), "created_at_remote", json!(it));
    assert_eq!(
        says("2026-01-20T09:00:00+00:00Z"),
        "created_at_remote: \"2026-01-20T09:00:00+00:00Z\" is not a timestamp"
    );
    let none = ["", "now", "2026-01-20", "2026-02-30T09:00:00Z", "2026-01-20T25:00:00Z"];
    let odd = [" 2026-01-20T09:00:00Z", "2026-01-20 09:00:00", "2026-01-20T09:00", "é"];
    for text in none.into_iter().chain(odd).chain(["2026-01-20T09:00:00ZZ"]) {
        assert!(says(text).ends_with("is not a timestamp"), "{text}");
    }
    for text in ["1969-12-31T23:59:59Z", "2100-01-01T00:00:00Z", "0001-01-01T00:00:00Z"] {
        assert!(says(text).ends_with("is not between 1970 and 2099"), "{text}");
    }
}

#[test]
fn silly_numbers_are_refused() {
    let says = |it: f64| reason::<CsatSurvey>(&survey(), "score", json!(it));
    assert_eq!(says(100.5), "score: 100.5 is not between -100 and 100");
    assert_eq!(says(-101.0), "score: -101 is not between -100 and 100");
    let says = |it: f64| reason::<Ticket>(&ticket(), "estimated_hours", json!(it));
    assert_eq!(says(-0.5), "estimated_hours: -0.5 is not between 0 and 100000");
    assert!(says(1e300).len() < 400);
    let text = survey().to_string().replace("\"score\":5", "\"score\":1e999");
    let found = read::<CsatSurvey>(&text).expect_err("refused");
    assert!(found.contains("number out of range"), "{found}");
}

#[test]
fn closing_before_opening_is_refused_and_updating_before_is_not() {
    assert_eq!(
        reason::<Ticket>(&ticket(), "closed_at_remote", json!("2026-01-20T08:59:59Z")),
        "closed_at_remote: is before created_at_remote"
    );
    accepted::<Ticket>(&ticket(), "closed_at_remote", json!("2026-01-20T09:00:00Z"));
    accepted::<Ticket>(&ticket(), "updated_at_remote", json!("2026-01-19T09:00:00Z"));
}

#[test]
fn times_without_an_offset_are_the_tenants() {
    let at = |text: &str, zone: Tz| {
        let mut row = ticket();
        row["created_at_remote"] = json!(text);
        row["updated_at_remote"] = json!("2026-01-20T12:00:00+01:00");
        let row: Ticket = parse(&row.to_string(), "tenant_a", zone).expect("accepted");
        assert_eq!(row.updated_at_remote.to_rfc3339(), "2026-01-20T11:00:00+00:00", "an offset is kept");
        row.created_at_remote.to_rfc3339().replace("+00:00", "Z")
    };
    assert_eq!(at("2026-01-20T09:00:00", Tz::Europe__Berlin), "2026-01-20T08:00:00Z");
    assert_eq!(at("2026-07-20T09:00:00.5", Tz::America__New_York), "2026-07-20T13:00:00.500Z");
    assert_eq!(at("2025-10-26T02:30:00", Tz::Europe__Berlin), "2025-10-26T00:30:00Z", "the first of two");
    assert_eq!(
        at("2025-03-30T02:30:00", Tz::Europe__Berlin),
        "2025-03-30T01:30:00Z",
        "there is no such time"
    );
    assert_eq!(at("2011-12-30T12:00:00", Tz::Pacific__Apia), "2011-12-30T22:00:00Z", "nor such a day");
}

#[test]
fn the_day_of_an_instant_is_the_tenants() {
    let day = |text: &str, zone: Tz| {
        let mut row = entry();
        row["date_worked"] = json!(text);
        parse::<TimeEntry>(&row.to_string(), "tenant_a", zone).expect("accepted").date_worked.to_string()
    };
    assert_eq!(day("2026-01-21T00:30:00Z", Tz::America__New_York), "2026-01-20");
    assert_eq!(day("2026-01-21T05:00:00Z", Tz::America__New_York), "2026-01-21");
    assert_eq!(day("2026-01-20T23:30:00+00:00", Tz::Asia__Tokyo), "2026-01-21");
    assert_eq!(
        day("2026-01-20T23:30:00", Tz::Asia__Tokyo),
        "2026-01-20",
        "a time without a zone is the tenant's"
    );
    assert_eq!(day("2026-01-20", Tz::Asia__Tokyo), "2026-01-20", "a day is a day");
}
