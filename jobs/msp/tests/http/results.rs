//! What a tenant reads: KPIs, surveys, alerts, time. The numbers are those of the rows in `mock-data/`.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::support::TestApi;

async fn filled() -> TestApi {
    let api = TestApi::new().await;
    api.fill().await;
    api
}

#[tokio::test]
async fn kpis_are_those_worked_out_by_hand() {
    let api = filled().await;
    let expected: Value = serde_json::from_str(include_str!("../demo-kpis.json")).unwrap();
    for tenant in [&api.cca, &api.client2] {
        let answer = api.tenant(tenant, "GET", "/v1/kpis/daily?date=2026-01-20").send().await;
        assert_eq!(answer.header("vary"), Some("accept"));
        let mut days = answer.items();
        let day = days[0].as_object_mut().unwrap();
        assert!(day.remove("computed_at").unwrap().is_string());
        assert_eq!(day.remove("kpi_date"), Some(json!("2026-01-20")));
        assert_eq!(days, [expected[&tenant.slug].clone()], "{}", tenant.slug);
    }
}

#[tokio::test]
async fn kpis_of_a_range_come_in_order_and_only_for_computed_days() {
    let api = filled().await;
    for date in ["2026-01-22", "2026-01-19"] {
        let job = weirgate_msp::ComputeKpi { tenant: "tenant_demo_cca".into(), date: date.parse().unwrap() };
        api.app.run(&job).await.unwrap();
    }
    for (query, dates) in [
        ("from=2026-01-01&to=2026-01-31", &["2026-01-19", "2026-01-20", "2026-01-22"][..]),
        ("from=2026-01-20&to=2026-01-22", &["2026-01-20", "2026-01-22"]),
        ("from=2026-01-20&to=2026-01-20", &["2026-01-20"]),
        ("date=2026-01-21", &[]),
    ] {
        assert_eq!(api.v1(&format!("/v1/kpis/daily?{query}")).await.column("kpi_date"), dates, "{query}");
    }
}

#[tokio::test]
async fn kpis_are_csv_for_whom_accepts_that_first() {
    let api = filled().await;
    let accept = |target: &str, accept: &str| {
        api.tenant(&api.cca, "GET", &format!("/v1/kpis/daily?{target}")).header("accept", accept).send()
    };
    let answer = accept("date=2026-01-20", "text/csv").await;
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
    let mut reader = csv::Reader::from_reader(answer.text().as_bytes());
    let headers = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let day = api.v1("/v1/kpis/daily?date=2026-01-20").await.items().remove(0);
    assert_eq!(rows.len(), 1);
    assert_eq!(headers.len(), day.as_object().unwrap().len());
    for (name, cell) in headers.iter().zip(&rows[0]) {
        let same = match &day[name] {
            Value::Null => cell.is_empty(),
            Value::String(text) => cell == text,
            Value::Number(number) => cell.parse().ok() == number.as_f64(),
            value => Some(cell) == value.as_bool().map(|it| if it { "true" } else { "false" }),
        };
        assert!(same, "{name}: {cell} is not {}", day[name]);
    }
    let none = accept("date=2026-02-20", "application/json;q=0.5, text/csv").await;
    assert_eq!(none.text().lines().count(), 1, "the header only");
    for json in ["*/*", "application/json, text/csv;q=0.9", ""] {
        accept("date=2026-01-20", json).await.ok(StatusCode::OK);
    }
}

#[tokio::test]
async fn surveys_are_listed_by_day() {
    let api = filled().await;
    for (query, ids) in [
        ("", &["SRV-003", "SRV-002", "SRV-001"][..]),
        ("?from=2026-01-21", &["SRV-003"]),
        ("?to=2026-01-20", &["SRV-002", "SRV-001"]),
        ("?from=2026-01-20&to=2026-01-20", &["SRV-002", "SRV-001"]),
        ("?from=2026-02-01", &[]),
    ] {
        assert_eq!(api.v1(&format!("/v1/csat{query}")).await.column("survey_id"), ids, "{query}");
    }
    let mut survey = api.v1("/v1/csat?from=2026-01-21").await.items().remove(0);
    assert!(survey.as_object_mut().unwrap().remove("ingested_at").unwrap().is_string());
    let expected = json!({
        "survey_id": "SRV-003", "ticket_id": "TKT-004", "score": 4.0, "sentiment": "positive",
        "comment": "Friendly and clear, thank you.", "submitted_at": "2026-01-21T08:05:00Z",
    });
    assert_eq!(survey, expected);
    // 22:45 in UTC is 23:45 in Paris: still that day.
    let in_paris = api.tenant(&api.client2, "GET", "/v1/csat?to=2026-01-20").send().await;
    assert_eq!(in_paris.column("survey_id"), ["SRV-001"]);
}

#[tokio::test]
async fn alerts_are_listed_by_day() {
    let api = filled().await;
    for (query, ids) in [
        ("", &["S1-002", "DEF-001", "S1-001"][..]),
        ("?from=2026-01-20", &["S1-002", "DEF-001"]),
        ("?to=2026-01-19", &["S1-001"]),
        ("?from=2026-01-20&to=2026-01-20&limit=1", &["S1-002"]),
    ] {
        assert_eq!(api.v1(&format!("/v1/security-alerts{query}")).await.column("alert_id"), ids, "{query}");
    }
    let mut alert = api.v1("/v1/security-alerts?to=2026-01-19").await.items().remove(0);
    assert!(alert.as_object_mut().unwrap().remove("ingested_at").unwrap().is_string());
    let expected = json!({
        "source": "sentinelone", "alert_id": "S1-001", "severity": "high",
        "title": "Suspicious PowerShell execution", "device": "LAPTOP-001", "status": "resolved",
        "detected_at": "2026-01-19T08:15:00Z",
    });
    assert_eq!(alert, expected);
}

#[tokio::test]
async fn time_is_listed_by_day() {
    let api = filled().await;
    for (query, ids) in [
        ("", &["TE-005", "TE-003", "TE-002", "TE-001", "TE-004"][..]),
        ("?to=2026-01-19", &["TE-004"]),
        ("?from=2026-01-20", &["TE-005", "TE-003", "TE-002", "TE-001"]),
    ] {
        let listed = api.v1(&format!("/v1/time-entries{query}")).await;
        assert_eq!(listed.column("cw_time_entry_id"), ids, "{query}");
    }
    let mut entry = api.v1("/v1/time-entries?to=2026-01-19").await.items().remove(0);
    assert!(entry.as_object_mut().unwrap().remove("ingested_at").unwrap().is_string());
    let expected = json!({
        "cw_time_entry_id": "TE-004", "cw_ticket_id": "TKT-003", "member": "tech1@msp.com",
        "work_type": "Remote Support", "billable": true, "minutes": 90,
        "notes": "Removed a stuck Windows update and freed 40 GB on the disk", "date_worked": "2026-01-19",
    });
    assert_eq!(entry, expected);
}

#[tokio::test]
async fn each_list_pages_through_all_its_rows() {
    let api = filled().await;
    for list in ["tickets", "time-entries", "csat", "security-alerts", "exports"] {
        let all = api.v1(&format!("/v1/{list}")).await.items();
        let (mut met, mut next) = (Vec::new(), Some(format!("/v1/{list}?limit=1")));
        while let Some(path) = next {
            let page = api.v1(&path).await;
            let items = page.items();
            assert_eq!(items.len(), 1, "{path}");
            met.extend(items);
            let url = page.ok(StatusCode::OK)["next"].as_str().map(str::to_owned);
            assert_eq!(page.header("link").is_some(), url.is_some());
            next = url.map(|url| url.strip_prefix("http://localhost").unwrap().to_owned());
        }
        assert!(all.len() > 1, "{list}");
        assert_eq!(met, all, "{list}");
    }
}
