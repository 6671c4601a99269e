//! A tenant's tickets and their summaries.

use axum::http::StatusCode;
use serde_json::json;

use crate::support::TestApi;

#[tokio::test]
async fn tickets_are_listed_by_state_and_time() {
    let api = TestApi::filled().await;
    for (query, ids) in [
        ("", &["TKT-004", "TKT-001", "TKT-002", "TKT-003", "TKT-005"][..]),
        ("?status=Closed", &["TKT-002", "TKT-005"]),
        ("?status=closed", &[]),
        ("?status=In%20Progress", &["TKT-001"]),
        ("?created_from=2026-01-20", &["TKT-004", "TKT-001", "TKT-002"]),
        ("?created_to=2026-01-19", &["TKT-003", "TKT-005"]),
        ("?created_from=2026-01-19&created_to=2026-01-19", &["TKT-003"]),
        ("?created_from=2026-01-20T09:00:00Z", &["TKT-004", "TKT-001"]),
        ("?created_to=2026-01-20T09:00:00Z", &["TKT-002", "TKT-003", "TKT-005"]),
        ("?status=Closed&created_from=2026-01-20&limit=5", &["TKT-002"]),
    ] {
        assert_eq!(api.v1(&format!("/v1/tickets{query}")).await.column("cw_ticket_id"), ids, "{query}");
    }
    // 23:30 in UTC is half past midnight of the next day in Paris.
    let day = "/v1/tickets?created_from=2026-01-21&created_to=2026-01-21";
    let in_paris = api.tenant(&api.client2, "GET", day).send().await;
    assert_eq!(in_paris.column("cw_ticket_id"), ["TKT-002"]);
}

#[tokio::test]
async fn a_ticket_has_what_the_source_said() {
    let api = TestApi::filled().await;
    let mut ticket = api.v1("/v1/tickets/TKT-002").await.ok(StatusCode::OK);
    assert_eq!(ticket, api.v1("/v1/tickets?status=Closed").await.items()[0]);
    assert!(ticket.as_object_mut().unwrap().remove("ingested_at").unwrap().is_string());
    let expected = json!({
        "cw_ticket_id": "TKT-002", "board": "Service", "status": "Closed", "priority": "Critical",
        "summary": "Internet down at the Mill Road office",
        "description": "No connection since 08:00, phones are down too. 14 people cannot work.",
        "company": "Northwind Traders", "owner": "tech2@msp.com", "created_at_remote": "2026-01-20T08:15:00Z",
        "updated_at_remote": "2026-01-20T13:00:00Z", "closed_at": "2026-01-20T10:45:00Z",
        "sla_status": "Breached", "estimated_hours": 1.5,
    });
    assert_eq!(ticket, expected);
}

#[tokio::test]
async fn a_summary_adds_up_what_is_stored() {
    let api = TestApi::filled().await;
    let summary = api.v1("/v1/tickets/TKT-002/summary").await.ok(StatusCode::OK);
    let expected = json!({
        "ticket_id": "TKT-002", "method": "extractive", "status": "Closed", "priority": "Critical",
        "is_open": false, "age_minutes": 150, "minutes_spent": 90, "billable_minutes": 60, "time_entries": 2,
        "last_activity_at": "2026-01-20T17:20:00Z", "last_activity": "survey_submitted",
        "satisfaction_score": 2.0,
        "summary": "Internet down at the Mill Road office. Critical priority ticket for Northwind Traders, with \
            tech2@msp.com: Closed after 2 h 30 min. 1 h 30 min of work in 2 time entries, 1 h 0 min of it billable. \
            The customer's satisfaction score is 2.0.",
    });
    assert_eq!(summary, expected);
    let unsurveyed = api.v1("/v1/tickets/TKT-003/summary").await.ok(StatusCode::OK);
    assert!(unsurveyed["satisfaction_score"].is_null());
    assert_eq!(unsurveyed["last_activity"], "closed", "the later in a ticket's life of two at once");
    assert_eq!(unsurveyed["summary"].as_str().unwrap().matches("1 time entry").count(), 1);
}

#[tokio::test]
async fn an_open_ticket_ages_until_now() {
    let api = TestApi::filled().await;
    let age = async || {
        let summary = api.v1("/v1/tickets/TKT-001/summary").await.ok(StatusCode::OK);
        assert_eq!(summary["is_open"], true);
        summary["age_minutes"].as_i64().unwrap()
    };
    let before = age().await;
    api.db().travel(std::time::Duration::from_hours(1)).await;
    assert!((60..=65).contains(&(age().await - before)));
    let untouched = api.tenant(&api.client2, "GET", "/v1/tickets/TKT-002/summary").send().await;
    let untouched = untouched.ok(StatusCode::OK);
    assert_eq!((&untouched["minutes_spent"], &untouched["billable_minutes"]), (&json!(15), &json!(0)));
    assert_eq!(untouched["last_activity"], "created");
}

#[tokio::test]
async fn a_ticket_is_open_or_closed_as_its_source_says_and_gone_when_that_has_deleted_it() {
    let api = TestApi::filled().await;
    let change = async |sql: &'static str| {
        sqlx::query(sql).execute(&api.db().pool).await.unwrap();
    };
    let is_open = async || api.v1("/v1/tickets/TKT-001/summary").await.ok(StatusCode::OK)["is_open"].clone();
    change(
        "update msp.raw_tickets set status = '>Closed', closed_flag = true where cw_ticket_id = 'TKT-001'",
    )
    .await;
    assert_eq!(is_open().await, false);
    let ticket = api.v1("/v1/tickets/TKT-001").await.ok(StatusCode::OK);
    assert_eq!(ticket["closed_at"], ticket["updated_at_remote"]);
    change(
        "update msp.raw_tickets set status = 'Closed', closed_flag = false where cw_ticket_id = 'TKT-001'",
    )
    .await;
    assert_eq!(is_open().await, true);

    let worked = async || {
        let summary = api.v1("/v1/tickets/TKT-002/summary").await.ok(StatusCode::OK);
        (summary["time_entries"].clone(), summary["satisfaction_score"].clone())
    };
    assert_eq!(worked().await, (json!(2), json!(2.0)));
    change("update msp.raw_time_entries set deleted_at = now()").await;
    change("update msp.raw_csat_surveys set deleted_at = now()").await;
    assert_eq!(worked().await, (json!(0), json!(null)));
    change("update msp.raw_tickets set deleted_at = now() where cw_ticket_id = 'TKT-002'").await;
    for path in ["/v1/tickets/TKT-002", "/v1/tickets/TKT-002/summary"] {
        api.v1(path).await.problem(404, "unknown_ticket");
    }
    for path in ["/v1/tickets", "/v1/tickets?status=Closed"] {
        let listed = api.v1(path).await.column("cw_ticket_id");
        assert!(!listed.is_empty() && !listed.contains(&"TKT-002".to_owned()), "{listed:?}");
    }
    assert!(api.v1("/v1/time-entries").await.items().is_empty());
}
