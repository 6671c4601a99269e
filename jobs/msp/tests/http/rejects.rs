//! Rows that could not be taken, for the service.

use axum::http::StatusCode;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::support::TestApi;

/// Rejects of so many lines of a file.
async fn reject(api: &TestApi, tenant: Uuid, dataset: &str, job: Uuid, lines: i32) {
    sqlx::query(
        "insert into msp.ingest_rejects (tenant_id, dataset, origin, line, reason, content, job_id, rejected_at)
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
    let [cca, client2] = [api.cca.id, api.client2.id];
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
async fn rejects_come_newest_first_and_by_the_days_of_their_tenants() {
    let api = TestApi::new().await;
    // 23:30 UTC is half past midnight in Paris, where client2 is.
    for (tenant, hours) in [(api.cca.id, 0), (api.client2.id, 0), (api.cca.id, 2), (api.client2.id, -20)] {
        sqlx::query(
            "insert into msp.ingest_rejects (tenant_id, dataset, origin, line, reason, job_id, rejected_at)
             select $1, 'tickets', 'at ' || $2, n, 'bad', gen_random_uuid(), '2026-01-20T23:30:00Z'::timestamptz + make_interval(hours => $2)
             from generate_series(1, 3) n",
        )
        .bind(tenant)
        .bind(hours)
        .execute(&api.db().pool)
        .await
        .unwrap();
    }
    let rows = all(&api, "limit=4").await;
    let times: Vec<&str> = rows.iter().map(|row| row["rejected_at"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b) && rows.len() == 12, "{times:?}");
    let lines: Vec<i64> = rows[..3].iter().map(|row| row["line"].as_i64().unwrap()).collect();
    assert_eq!(lines, [1, 2, 3], "what was found at once is in the order of its source");
    let of = async |filter: &str| {
        let rows = all(&api, filter).await;
        let mut found: Vec<String> =
            rows.iter().map(|row| format!("{} {}", row["tenant"], row["origin"]).replace('"', "")).collect();
        found.sort_unstable();
        found.dedup();
        found
    };
    assert_eq!(of("date=2026-01-20").await, ["tenant_demo_cca at 0", "tenant_demo_client2 at -20"]);
    assert_eq!(of("date=2026-01-21&limit=2").await, ["tenant_demo_cca at 2", "tenant_demo_client2 at 0"]);
    assert_eq!(of("date=2026-01-22").await, [""; 0]);
    assert_eq!(api.get("/internal/rejects?date=20260120").await.wrong_fields(), ["date"]);
}

#[tokio::test]
async fn each_filter_reads_along_an_index() {
    let api = TestApi::new().await;
    for tenant in [api.cca.id, api.client2.id] {
        for dataset in ["tickets", "csat"] {
            // Batches of a thousand rows, one after the other.
            sqlx::query(
                "insert into msp.ingest_rejects (tenant_id, dataset, origin, line, reason, job_id, rejected_at)
                 select $1, $2, 'file', n, 'bad', gen_random_uuid(), '2026-01-20T10:00:00Z'::timestamptz + n / 1000 * interval '1 s'
                 from generate_series(1, 10000) n",
            )
            .bind(tenant)
            .bind(dataset)
            .execute(&api.db().pool)
            .await
            .unwrap();
        }
    }
    let mut conn = api.db().pool.acquire().await.unwrap();
    sqlx::raw_sql("vacuum (analyze) msp.ingest_rejects").execute(&mut *conn).await.unwrap();
    let cca = api.cca.id;
    for (filter, most) in [
        ("true", 4 * 1000 + 51),
        ("dataset = 'tickets'", 2 * 1000 + 51),
        (&format!("job_id = '{cca}'"), 0),
        // Of a tenant there are not more than its datasets can have.
        (&format!("tenant_id = '{cca}'"), 20_000),
    ] {
        let sql = format!(
            "explain (analyze, buffers, format json) select * from msp.ingest_rejects where {filter}
               and rejected_at <= '2026-01-20T10:00:05Z'
               and (rejected_at < '2026-01-20T10:00:05Z' or (dataset, tenant_id, origin, line) > ('csat', '{cca}', 'file', 5100))
             order by rejected_at desc, dataset, tenant_id, origin, line limit 51"
        );
        let plan: Value = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *conn).await.unwrap();
        assert!(!plan.to_string().contains("Seq Scan"), "{filter}: {plan:#}");
        let mut node = &plan[0]["Plan"];
        while node["Plans"].is_array() {
            node = &node["Plans"][0];
        }
        let read = node["Actual Rows"].as_f64().unwrap();
        assert!(read <= f64::from(most) + 2000.0, "{filter}: {read} rows were read: {plan:#}");
    }
}
