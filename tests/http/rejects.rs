//! Rows that could not be taken, for the service.

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;
use weirgate_jobs::sources::MockSource;
use weirgate_jobs::{App, registry};

use crate::support::{TestApi, TestWorker};

/// Rejects of so many lines of a file.
async fn reject(api: &TestApi, tenant: Uuid, dataset: &str, job: Uuid, lines: i32) {
    sqlx::query(
        "insert into ingest_rejects (tenant_id, dataset, origin, line, reason, content, job_id, rejected_at)
         select $1, $2, 'file', n, 'no JSON', '{', $3, now() from generate_series(1, $4) n",
    )
    .bind(tenant)
    .bind(dataset)
    .bind(job)
    .bind(lines)
    .execute(&api.db().pool)
    .await
    .unwrap();
}

async fn ids(api: &TestApi) -> [Uuid; 2] {
    let id = async |slug: &str| {
        sqlx::query_scalar("select id from tenants where slug = $1")
            .bind(slug)
            .fetch_one(&api.db().pool)
            .await
            .unwrap()
    };
    [id("tenant_demo_cca").await, id("tenant_demo_client2").await]
}

/// Follows the list to its end.
async fn all(api: &TestApi, filter: &str) -> Vec<Value> {
    let (mut rows, mut next) = (Vec::new(), Some(format!("/internal/rejects?{filter}")));
    while let Some(path) = next {
        let page = api.get(&path).await.ok(StatusCode::OK);
        rows.extend(page["items"].as_array().unwrap().iter().cloned());
        next = page["next"].as_str().map(|url| url.strip_prefix("http://localhost").unwrap().to_owned());
    }
    rows
}

#[tokio::test]
async fn rejected_rows_are_listed_by_tenant_dataset_and_job() {
    let api = TestApi::new().await;
    let [cca, client2] = ids(&api).await;
    let [one, two, three] = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    reject(&api, cca, "tickets", one, 7).await;
    reject(&api, cca, "csat", two, 2).await;
    reject(&api, client2, "tickets", three, 4).await;
    for (filter, count) in [
        ("", 13),
        ("limit=3", 13),
        ("limit=3&dataset=tickets", 11),
        ("tenant_id=tenant_demo_cca&limit=2", 9),
        ("tenant_id=tenant_demo_cca&dataset=csat", 2),
        (&format!("tenant_id={client2}&dataset=csat"), 0),
        (&format!("job_id={three}&limit=3"), 4),
        (&format!("job_id={}", Uuid::now_v7()), 0),
    ] {
        let rows = all(&api, filter).await;
        let mut places: Vec<String> =
            rows.iter().map(|row| format!("{} {} {}", row["tenant"], row["dataset"], row["line"])).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!((rows.len(), places.len()), (count, count), "{filter}");
    }
    let mut row = all(&api, "dataset=csat").await.remove(0);
    assert!(row.as_object_mut().unwrap().remove("rejected_at").unwrap().is_string());
    let expected = json!({ "tenant_id": cca, "tenant": "tenant_demo_cca", "dataset": "csat", "origin": "file", "line": 1,
        "reason": "no JSON", "content": "{", "job_id": two });
    assert_eq!(row, expected);
    api.get("/internal/rejects?tenant_id=nobody").await.problem(404, "unknown_tenant");
    assert_eq!(
        api.get("/internal/rejects?dataset=tickets2&job_id=x&other=1").await.wrong_fields(),
        ["dataset", "job_id", "other"]
    );
}

#[tokio::test]
async fn what_a_job_rejected_is_found_by_it_and_counted_in_its_output_and_in_the_metrics() {
    let api = TestApi::new().await;
    let survey =
        json!({ "survey_id": "S", "ticket_id": "T", "score": 5, "submitted_at": "2026-01-20T10:00:00Z" });
    api.app.write("tenant_demo_cca/csat.jsonl", format!("no row\n{survey}\n{{}}\n"));
    let source = Arc::new(MockSource { path: api.app.folder.path().to_owned() });
    let app = Arc::new(App { pool: api.db().pool.clone(), source, exports: api.app.app.exports.clone() });
    let worker = TestWorker::start_jobs(api.db(), Arc::new(registry(app)), |_| {});
    let job = api.enqueue("/internal/ingest/csat?tenant_id=tenant_demo_cca").await;
    let path = format!("/internal/jobs/{}?wait=30", job["id"].as_str().unwrap());
    let done = api.get(&path).await.ok(StatusCode::OK);
    worker.stop().await;
    assert_eq!(done["output"], json!({ "read": 3, "accepted": 1, "rejected": 2 }), "{done}");
    let rejects = all(&api, &format!("job_id={}", job["id"].as_str().unwrap())).await;
    assert_eq!(rejects.iter().map(|row| row["line"].as_i64().unwrap()).collect::<Vec<_>>(), [1, 3]);
    let metrics = api.anonymous("GET", "/metrics").send().await;
    for outcome in ["accepted", "rejected"] {
        let name = format!("weirgate_ingest_rows_total{{dataset=\"csat\",outcome=\"{outcome}\"}} ");
        let count = metrics.text().lines().find_map(|line| line.strip_prefix(&name));
        // Other tests of this process may have counted too.
        assert!(count.unwrap().parse::<f64>().unwrap() >= 1.0, "{name}");
    }
}

#[tokio::test]
async fn each_filter_reads_along_an_index() {
    let api = TestApi::new().await;
    let [cca, client2] = ids(&api).await;
    for (tenant, dataset) in [(cca, "tickets"), (client2, "tickets"), (cca, "csat"), (client2, "csat")] {
        reject(&api, tenant, dataset, Uuid::now_v7(), 5000).await;
    }
    let mut conn = api.db().pool.acquire().await.unwrap();
    sqlx::raw_sql("vacuum (analyze) ingest_rejects").execute(&mut *conn).await.unwrap();
    for filter in
        ["true", "dataset = 'tickets'", &format!("tenant_id = '{cca}'"), &format!("job_id = '{client2}'")]
    {
        let sql = format!(
            "explain (analyze, buffers, format json) select * from ingest_rejects where {filter}
               and (dataset, tenant_id, origin, line) > ('csat', '{cca}', 'file', 2500)
             order by dataset, tenant_id, origin, line limit 51"
        );
        let plan: Value = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *conn).await.unwrap();
        assert!(!plan.to_string().contains("Seq Scan"), "{filter}: {plan:#}");
    }
}
