//! Rejected rows on the dashboard: whin the latest ingests found, by filter and page.

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::json;
use uuid::Uuid;
use weirgate_identity::platform::Role;
use weirgate_msp::App;
use weirgate_msp::sources::MockSource;
use weirgate_test_support::TestWorker;

use crate::support::person::Person;
use crate::support::{TestApi, registry_with};

const PATH: &str = "/dashboard/rejects";

/// Rejects of so many lines of a file.
async fn reject(api: &TestApi, tenant: Uuid, dataset: &str, job: Uuid, at: &str, lines: i32) {
    sqlx::query(
        "insert into msp.ingest_rejects (tenant_id, dataset, origin, line, reason, content, job_id, rejected_at)
         select $1, $2, $2 || '.jsonl', n, 'reason ' || n, '{', $3, $4::timestamptz from generate_series(1, $5) n",
    )
    .bind(tenant)
    .bind(dataset)
    .bind(job)
    .bind(at)
    .bind(lines)
    .execute(&api.db().pool)
    .await
    .unwrap();
}

/// The address of the next page.
fn next(page: &str) -> Option<String> {
    let (_, rest) = page.split_once(r#"<a rel="next" href=""#)?;
    Some(rest.split('"').next().unwrap().replace("&#38;", "&"))
}

#[tokio::test]
async fn what_an_ingest_rejected_is_told_with_its_reason_and_leads_to_its_job() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "eve@example.com", Role::Viewer).await;
    assert!(person.get(PATH).await.text().contains("The latest ingests rejected no rows."));
    let survey =
        json!({ "survey_id": "S", "ticket_id": "T", "score": 5, "submitted_at": "2026-01-20T10:00:00Z" });
    api.app.write("tenant_demo_cca/csat.jsonl", format!("<b>no row</b>\n{survey}\n"));
    let source = Arc::new(MockSource { path: api.app.folder.path().to_owned() });
    let app = Arc::new(App { pool: api.db().pool.clone(), source, exports: api.app.app.exports.clone() });
    let worker = TestWorker::start_jobs(api.db(), Arc::new(registry_with(app)), |_| {});
    let job = api.enqueue("/internal/ingest/csat?tenant_id=tenant_demo_cca").await;
    let id = job["id"].as_str().unwrap();
    api.get(&format!("/internal/jobs/{id}?wait=30")).await.ok(StatusCode::OK);
    worker.stop().await;
    let page = person.get(&format!("{PATH}?job_id={id}")).await;
    let text = page.text();
    for said in [
        &format!("/dashboard/jobs/{id}"),
        "/dashboard/tenants/tenant_demo_cca",
        "tenant_demo_cca/csat.jsonl, 1",
        "&#60;b&#62;no row",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[tokio::test]
async fn rejects_are_filtered_and_blank_fields_are_not_given() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "eve@example.com", Role::Viewer).await;
    let [one, two, three] = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    reject(&api, api.cca.id, "tickets", one, "2026-01-20T10:00:00Z", 2).await;
    reject(&api, api.cca.id, "csat", two, "2026-01-21T10:00:00Z", 1).await;
    // The 21st in Paris.
    reject(&api, api.client2.id, "tickets", three, "2026-01-20T23:30:00Z", 1).await;
    for (query, expected) in [
        ("", vec![two, three, one]),
        ("tenant_id=&dataset=&date=&job_id=+", vec![two, three, one]),
        ("tenant_id=tenant_demo_cca&dataset=&date=", vec![two, one]),
        (&format!("tenant_id={}", api.client2.id), vec![three]),
        ("dataset=tickets", vec![three, one]),
        ("date=2026-01-21", vec![two, three]),
        ("date=2026-01-20&dataset=tickets", vec![one]),
        (&format!("job_id={two}"), vec![two]),
        ("date=2026-01-22", vec![]),
    ] {
        let page = person.get(&format!("{PATH}?{query}")).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text());
        let mut jobs: Vec<&str> =
            page.text().split("href=\"/dashboard/jobs/").skip(1).map(|it| &it[..36]).collect();
        jobs.dedup();
        let expected: Vec<String> = expected.iter().map(Uuid::to_string).collect();
        assert_eq!(jobs, expected, "{query}");
        assert_eq!(page.text().contains("No rejected rows match."), expected.is_empty(), "{query}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_filter_stands_beside_its_field_and_the_filter_is_kept() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "eve@example.com", Role::Viewer).await;
    reject(&api, api.cca.id, "tickets", Uuid::now_v7(), "2026-01-20T10:00:00Z", 1).await;
    let wrong = "tenant_id=nobody&dataset=tickets&date=yesterday&job_id=x&other=1";
    let page = person.get(&format!("{PATH}?{wrong}")).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    let text = page.text();
    for (field, message) in [
        ("tenant_id", "there is no tenant &#34;nobody&#34;"),
        ("date", "expected a date such as 2026-01-31"),
        ("job_id", "UUID"),
    ] {
        let (_, rest) = text.split_once(&format!(r#"id="wrong-{field}">"#)).expect(field);
        assert!(rest.split("</p>").next().unwrap().contains(message), "{field}: {text}");
        assert!(text.contains(&format!(r#"aria-describedby="wrong-{field}""#)), "{field}");
    }
    for kept in
        [r#"value="nobody""#, r#"value="yesterday""#, r#"value="x""#, r#"<option value="tickets" selected>"#]
    {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    assert!(text.contains("other: unknown parameter"), "{text}");
    assert!(!text.contains("tickets.jsonl"), "nothing is shown that was not asked for");
}

#[tokio::test]
async fn many_rejects_come_page_by_page_the_newest_first() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "eve@example.com", Role::Viewer).await;
    let (old, new) = (Uuid::now_v7(), Uuid::now_v7());
    reject(&api, api.cca.id, "tickets", old, "2026-01-20T10:00:00Z", 60).await;
    reject(&api, api.client2.id, "tickets", new, "2026-01-20T11:00:00Z", 60).await;
    let (mut path, mut seen) = (format!("{PATH}?dataset=tickets"), Vec::new());
    for rows in [50, 50, 20] {
        let page = person.get(&path).await;
        let found = page.text().split("href=\"/dashboard/jobs/").skip(1).map(|it| {
            let (_, line) = it.split_once(".jsonl, ").unwrap();
            (it[..36].to_owned(), line.split('"').next().unwrap().to_owned())
        });
        let before = seen.len();
        seen.extend(found);
        assert_eq!(seen.len() - before, rows, "{path}");
        path = next(page.text()).unwrap_or_default();
    }
    assert_eq!(path, "", "that was the last page");
    let expected = [new, old].map(|job| (1..=60).map(move |line| (job.to_string(), line.to_string())));
    assert_eq!(seen, expected.into_iter().flatten().collect::<Vec<_>>());
}
