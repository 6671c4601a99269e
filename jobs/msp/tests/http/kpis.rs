//! A tenant's KPIs. The numbers are those of the rows in `mock-data/`.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::support::TestApi;

#[tokio::test]
async fn kpis_are_those_worked_out_by_hand() {
    let api = TestApi::filled().await;
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
    let api = TestApi::filled().await;
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
    let api = TestApi::filled().await;
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
