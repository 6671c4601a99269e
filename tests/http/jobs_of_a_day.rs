//! The day that jobs are for: one filter finds all that failed of a tenant on a day.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Value, json};
use weirgate_identity::platform::Role;

use crate::support::TestApi;
use crate::support::person::Person;

const FAILING: &str = "state=retryable,discarded,cancelled";

fn kinds(items: &[Value]) -> BTreeSet<&str> {
    items.iter().map(|job| job["kind"].as_str().unwrap()).collect()
}

/// A pipeline of the 20th of which two ingests fail, one of which is tried again, and what else
/// there is of that and other days.
async fn failed_day() -> TestApi {
    let api = TestApi::new().await;
    for path in [
        "pipelines/daily?tenant_id=tenant_demo_cca&date=2026-01-20",
        "pipelines/daily?tenant_id=tenant_demo_cca&date=2026-01-21",
        "pipelines/daily?tenant_id=tenant_demo_client2&date=2026-01-20",
        "kpi/compute-daily?tenant_id=tenant_demo_cca&date=2026-01-20&force=true",
        "exports/generate?tenant_id=tenant_demo_cca&date=2026-01-20&format=csv",
        "ingest/tickets?tenant_id=tenant_demo_cca",
    ] {
        api.enqueue(&format!("/internal/{path}")).await;
    }
    api.execute(
        "update queue.jobs set state = 'discarded', finalized_at = queue.now() where kind <> 'ingest_csat'",
    )
    .await;
    api.execute("update queue.jobs set state = 'retryable' where kind = 'ingest_csat'").await;
    api
}

#[tokio::test]
async fn one_filter_finds_all_that_failed_of_a_tenant_on_a_day() {
    let api = failed_day().await;
    let all = [
        "compute_kpi",
        "generate_export",
        "ingest_csat",
        "ingest_security_alerts",
        "ingest_tickets",
        "ingest_time_entries",
    ];
    for date in ["date=2026-01-20", "args.date=2026-01-20", "date=2026-01-20&args.date="] {
        let found =
            api.get(&format!("/internal/jobs?tenant_id=tenant_demo_cca&{date}&{FAILING}")).await.items();
        assert_eq!((found.len(), kinds(&found)), (8, BTreeSet::from(all)), "{date}");
        assert!(found.iter().all(|job| job["date"] == "2026-01-20" && job["tenant"] == "tenant_demo_cca"));
        let own = api.v1(&format!("/v1/jobs?{date}&{FAILING}")).await.items();
        assert_eq!(kinds(&own), BTreeSet::from(all), "{date}");
    }
    let count = async |query: &str| api.get(&format!("/internal/jobs?{query}")).await.items().len();
    assert_eq!(count("date=2026-01-20").await, 14, "of every tenant");
    assert_eq!(count("date=2026-01-20&state=retryable").await, 2);
    assert_eq!(
        count("date=2026-01-20&tenant_id=tenant_demo_cca&state=discarded&kind=ingest_tickets").await,
        1
    );
    assert_eq!(count("date=2026-01-20&args.date=2026-01-21").await, 0);
    assert_eq!(count("date=2026-01-22").await, 0);
    let none = api.get("/internal/jobs?kind=ingest_tickets&tenant_id=tenant_demo_cca").await.items();
    let days: Vec<&Value> = none.iter().map(|job| &job["date"]).collect();
    assert_eq!(days, [&Value::Null, &json!("2026-01-21"), &json!("2026-01-20")], "one is for no day");
    let wrong = api.get("/internal/jobs?date=20.01.2026").await.problem(422, "validation_failed");
    assert!(wrong["detail"].as_str().unwrap().contains("such as 2026-01-31"), "{wrong}");
}

#[tokio::test]
async fn the_same_filter_is_for_bulk_actions_and_on_the_page() {
    let api = failed_day().await;
    let bulk = async |filter: Value| {
        let body = json!({"action": "retry", "filter": filter, "dry_run": true});
        api.service("POST", "/internal/jobs/bulk").json(body.to_string()).send().await.ok(StatusCode::OK)["count"].clone()
    };
    let day = json!({"tenant_id": "tenant_demo_cca", "date": "2026-01-20", "state": ["discarded"]});
    assert_eq!(bulk(day).await, 7);
    assert_eq!(bulk(json!({"tenant_id": "tenant_demo_cca", "args": {"date": "2026-01-20"}})).await, 7);
    assert_eq!(bulk(json!({"date": "2026-01-20"})).await, 12);
    let person = Person::new(&api, "eve@example.com", Role::Viewer).await;
    let page =
        person.get(&format!("/dashboard/jobs?tenant_id=tenant_demo_cca&date=2026-01-20&{FAILING}")).await;
    assert_eq!(page.text().matches("<span class=\"state discarded\"").count(), 7, "{}", page.text());
    assert!(page.text().contains("name=\"date\" value=\"2026-01-20\""));
    let page = person.get("/dashboard/jobs?arg=date%3D2026-01-20").await;
    assert!(page.text().contains("name=\"date\" value=\"2026-01-20\""), "{}", page.text());
}
