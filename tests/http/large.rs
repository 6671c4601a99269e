//! Answers are bounded in bytes: large outputs are left out of lists, and a page ends early.

use axum::http::StatusCode;
use futures_util::StreamExt;
use serde_json::{Value, json};
use uuid::Uuid;
use weirgate_identity::platform::Role;
use weirgate_test_support::{Does, Step};

use crate::support::TestApi;
use crate::support::person::Person;

const MOST_BYTES: usize = 8 * 1024 * 1024;

/// A cancelled job with this output.
async fn job_with(api: &TestApi, output: &Value) -> Uuid {
    let step = Step::new(&Uuid::now_v7().to_string(), Does::Succeed);
    let job = api.db().enqueue(api.cca.id, &step).await.id;
    api.post(&format!("/internal/jobs/{job}/cancel")).await.ok(StatusCode::OK);
    // An argument that looks like what stands behind it.
    sqlx::query("update queue.jobs set output = $2, args = args || $3 where id = $1")
        .bind(job)
        .bind(output)
        .bind(json!({"z": "\"args\":{},\"output\":null,", "output": null}))
        .execute(&api.db().pool)
        .await
        .unwrap();
    job
}

#[tokio::test]
async fn a_large_output_is_in_the_answer_about_its_job_alone() {
    let api = TestApi::new().await;
    let small = json!({"text": "x".repeat(60_000)});
    // Stored, it is compressed to little.
    let repeated = json!({"text": "x".repeat(70_000), "ö": ["\"output\":null"]});
    let random: Vec<Uuid> = (0..20_000).map(|_| Uuid::now_v7()).collect();
    for (output, omitted) in [(small, false), (repeated, true), (json!(random), true), (Value::Null, false)] {
        let job = job_with(&api, &output).await;
        let listed = api.get(&format!("/internal/jobs?id={job}")).await.items().remove(0);
        let of_tenant = api.v1(&format!("/v1/jobs?id={job}")).await.items().remove(0);
        for job in [&listed, &of_tenant] {
            assert_eq!(job["output_omitted"], omitted);
            assert_eq!(job["output"], if omitted { Value::Null } else { output.clone() });
        }
        let events = api.get(&format!("/internal/jobs/{job}/events")).await;
        assert!(
            events.text().len() < 70_000 && events.text().contains(&format!("\"output_omitted\":{omitted}"))
        );
        for path in [format!("/internal/jobs/{job}"), format!("/internal/jobs/{job}?wait=1")] {
            let alone = api.get(&path).await;
            let shown = alone.ok(StatusCode::OK);
            assert_eq!((&shown["output"], &shown["output_omitted"]), (&output, &json!(false)));
            assert_eq!(shown["args"], listed["args"]);
            assert!(alone.header("etag").is_some());
            if omitted {
                assert_eq!(alone.header("content-length"), Some(&*alone.body.len().to_string()));
            }
            let etag = alone.header("etag").unwrap();
            let same = api.service("GET", &path).header("if-none-match", etag).send().await;
            assert_eq!(same.status, StatusCode::NOT_MODIFIED);
        }
        let shown = api.v1(&format!("/v1/jobs/{job}")).await.ok(StatusCode::OK);
        assert_eq!((&shown["output"], &shown["links"]["cancel"]), (&output, &Value::Null));
        let others = api.tenant(&api.client2, "GET", &format!("/v1/jobs/{job}")).send().await;
        others.problem(404, "unknown_job");
    }
}

#[tokio::test]
async fn the_page_of_a_job_says_where_a_large_output_is() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    let job = job_with(&api, &json!("y".repeat(3_000_000))).await;
    let page = person.get(&format!("/dashboard/jobs/{job}")).await;
    assert!(
        page.text().len() < 100_000 && page.text().contains("The output is larger than 64 KiB"),
        "{}",
        page.text()
    );
    let small = job_with(&api, &json!("a small one")).await;
    let page = person.get(&format!("/dashboard/jobs/{small}")).await;
    assert!(page.text().contains("a small one") && !page.text().contains("64 KiB"), "{}", page.text());
}

#[tokio::test]
async fn an_output_is_sent_in_the_buffer_that_it_came_in() {
    let api = TestApi::new().await;
    let job = job_with(&api, &json!("y".repeat(3_000_000))).await;
    let answer = api.service("GET", &format!("/internal/jobs/{job}")).start().await;
    let parts: Vec<_> = answer.into_body().into_data_stream().map(|part| part.unwrap().len()).collect().await;
    assert_eq!((parts.len(), parts[1]), (3, 3_000_002), "before it, itself, after it");
}

/// Follows a list to its end; how many items there are, and how many pages.
async fn walk(api: &TestApi, path: &str, field: &str) -> (usize, usize) {
    let (mut met, mut pages, mut next) = (Vec::new(), 0, Some(path.to_owned()));
    while let Some(path) = next {
        let page = if path.starts_with("/v1") { api.v1(&path).await } else { api.get(&path).await };
        assert!(page.body.len() <= MOST_BYTES, "{} bytes", page.body.len());
        let whole = page.ok(StatusCode::OK);
        let items = whole.get("items").unwrap_or(&whole["jobs"]).as_array().unwrap();
        met.extend(items.iter().map(|item| item[field].as_str().unwrap().to_owned()));
        pages += 1;
        next = whole["next"].as_str().map(|url| url.strip_prefix("http://localhost").unwrap().to_owned());
    }
    met.sort_unstable();
    met.dedup();
    (met.len(), pages)
}

#[tokio::test]
async fn a_page_ends_before_it_gets_too_large() {
    let api = TestApi::new().await;
    sqlx::query(
        "insert into msp.raw_tickets (tenant_id, cw_ticket_id, status, priority, description, created_at_remote, updated_at_remote)
         select $1, 'T-' || n, 'New', 'Low', repeat('ä', 400000), '2026-01-01 00:00Z', '2026-01-02 00:00Z' from generate_series(1, 25) n",
    )
    .bind(api.cca.id)
    .execute(&api.db().pool)
    .await
    .unwrap();
    for path in ["/v1/tickets", "/v1/tickets?status=New", "/v1/tickets?limit=3"] {
        let (tickets, pages) = walk(&api, path, "cw_ticket_id").await;
        assert_eq!(tickets, 25, "{path}");
        assert!(pages >= 3, "{path}: 20 MB in {pages} pages");
    }
    let pipeline = api.enqueue("/internal/pipelines/daily?tenant_id=tenant_demo_cca&date=2026-01-20").await;
    sqlx::query("update queue.jobs set args = args || jsonb_build_object('text', repeat('x', 3000000))")
        .execute(&api.db().pool)
        .await
        .unwrap();
    for path in ["/internal/jobs".to_owned(), "/v1/jobs".to_owned(), {
        format!("/internal/workflows/{}", pipeline["workflow_id"].as_str().unwrap())
    }] {
        assert_eq!(walk(&api, &path, "id").await, (6, 3), "{path}");
    }
    // One that is larger alone is still shown.
    sqlx::query(
        "update queue.jobs set args = jsonb_build_object('text', repeat('x', 9000000)) where id = $1",
    )
    .bind(pipeline["id"].as_str().unwrap().parse::<Uuid>().unwrap())
    .execute(&api.db().pool)
    .await
    .unwrap();
    let page = api.get("/internal/jobs?kind=generate_export").await;
    assert_eq!(page.items().len(), 1);
}
