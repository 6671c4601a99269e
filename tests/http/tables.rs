//! Every list of a tenant is a table for whoever accepts CSV.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::Value;
use weirgate_test_support::Answer;

use super::docs::operations;
use crate::support::{TestApi, all_domains};

/// The lists, with what they need to be given, and how many rows they have here.
const LISTS: [(&str, &str, usize); 7] = [
    ("/v1/kpis/daily", "from=2026-01-01&to=2026-01-31", 1),
    ("/v1/tickets", "", 5),
    ("/v1/time-entries", "", 5),
    ("/v1/csat", "", 3),
    ("/v1/security-alerts", "", 3),
    ("/v1/exports", "", 2),
    ("/v1/jobs", "", 2),
];

async fn filled() -> TestApi {
    let api = TestApi::new().await;
    api.fill().await;
    api.enqueue("/internal/ingest/csat?tenant_id=tenant_demo_cca").await;
    api.enqueue("/internal/pipelines/daily?tenant_id=tenant_demo_client2&date=2026-01-20").await;
    api.enqueue("/internal/kpi/compute-daily?tenant_id=tenant_demo_cca&date=2026-01-20").await;
    api
}

async fn csv_of(api: &TestApi, target: &str) -> Answer {
    api.tenant(&api.cca, "GET", target).header("accept", "text/csv").send().await
}

/// The fields of an item of a list, by the document.
fn fields(document: &Value, path: &str) -> BTreeSet<String> {
    let resolve = |schema: &Value| -> Value {
        match schema["$ref"].as_str() {
            Some(name) => document["components"]["schemas"][name.rsplit('/').next().unwrap()].clone(),
            None => schema.clone(),
        }
    };
    let content = &document["paths"][path]["get"]["responses"]["200"]["content"];
    assert!(content["text/csv"].is_object(), "{path}");
    let page = resolve(&content["application/json"]["schema"]);
    let item = resolve(&page["properties"]["items"]["items"]);
    item["properties"].as_object().unwrap().keys().cloned().collect()
}

fn rows(answer: &Answer) -> (Vec<String>, Vec<csv::StringRecord>) {
    let mut reader = csv::Reader::from_reader(answer.body.as_ref());
    let columns = reader.headers().unwrap().iter().map(str::to_owned).collect();
    (columns, reader.records().map(Result::unwrap).collect())
}

#[tokio::test]
async fn every_list_has_all_fields_also_as_csv() {
    let api = filled().await;
    let document = serde_json::to_value(weirgate::http::openapi(all_domains().list())).unwrap();
    for (path, query, count) in LISTS {
        let target = format!("{path}?{query}");
        let answer = csv_of(&api, &target).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"), "{path}");
        assert_eq!(answer.header("vary"), Some("accept"), "{path}");
        let name = answer.header("content-disposition").unwrap();
        assert!(
            name.starts_with("attachment; filename=\"tenant_demo_cca_") && name.ends_with(".csv\""),
            "{name}"
        );
        let (columns, rows) = rows(&answer);
        assert_eq!(columns.iter().cloned().collect::<BTreeSet<_>>(), fields(&document, path), "{path}");
        let items = api.v1(&target).await.items();
        assert_eq!((rows.len(), items.len()), (count, count), "{path}");
        for (row, item) in rows.iter().zip(&items) {
            for (column, cell) in columns.iter().zip(row) {
                let expected = match &item[column] {
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    // Each look has its own.
                    other => other.to_string(),
                };
                let changes = ["observed_at", "why_not_running"].contains(&column.as_str());
                assert!(changes || cell.trim_start_matches('\'') == expected, "{path} {column}: {cell}");
            }
        }
    }
}

#[tokio::test]
async fn no_list_is_left_out() {
    let lists: BTreeSet<&str> = LISTS.iter().map(|(path, ..)| *path).collect();
    let document = serde_json::to_value(weirgate::http::openapi(all_domains().list())).unwrap();
    for (method, path) in operations().into_iter().filter(|(_, path)| path.starts_with("/v1")) {
        let schema = &document["paths"][path.as_str()][method.to_lowercase()]["responses"]["200"]["content"]
            ["application/json"];
        let is_list = schema["schema"]["$ref"].as_str().is_some_and(|name| name.contains("Page_"));
        assert_eq!(is_list, lists.contains(path.as_str()), "{path}");
    }
}

#[tokio::test]
async fn a_table_without_rows_has_its_columns_and_pages_go_on_in_link() {
    let api = TestApi::new().await;
    for (path, query, _) in LISTS {
        let (columns, rows) = rows(&csv_of(&api, &format!("{path}?{query}")).await);
        assert!(columns.len() > 5 && rows.is_empty(), "{path}");
    }
    api.fill().await;
    let first = csv_of(&api, "/v1/tickets?limit=2").await;
    let next = first.header("link").unwrap().strip_prefix("<http://localhost").unwrap();
    let (next, _) = next.split_once('>').unwrap();
    let (_, rest) = rows(&csv_of(&api, next).await);
    assert_eq!((rows(&first).1.len(), rest.len()), (2, 2));
    assert!(rows(&first).1.iter().all(|row| !rest.contains(row)));
}

#[tokio::test]
async fn excel_gets_its_mark_when_it_asks_for_it() {
    let api = filled().await;
    for (path, query, _) in LISTS {
        for (bom, begins) in [("true", true), ("false", false), ("", false)] {
            let target = format!("{path}?{query}&bom={bom}");
            assert_eq!(csv_of(&api, &target).await.body.starts_with(b"\xef\xbb\xbf\""), begins, "{target}");
            assert!(api.v1(&target).await.body.starts_with(b"{"), "JSON never has one");
        }
        assert_eq!(api.v1(&format!("{path}?{query}&bom=2")).await.wrong_fields(), ["bom"]);
    }
}

#[tokio::test]
async fn what_cannot_be_csv_says_so_and_does_nothing() {
    let api = filled().await;
    let ticket = &api.v1("/v1/tickets?limit=1").await.column("cw_ticket_id")[0].clone();
    let exports = api.v1("/v1/exports").await.items();
    let job = &api.v1("/v1/jobs").await.column("id")[0].clone();
    for target in [
        format!("/v1/tickets/{ticket}"),
        format!("/v1/tickets/{ticket}/summary"),
        format!("/v1/exports/{}", exports[0]["id"].as_str().unwrap()),
        format!("/v1/jobs/{job}"),
        format!("/v1/jobs/{job}/events"),
    ] {
        csv_of(&api, &target).await.problem(406, "not_acceptable");
        let either = api.tenant(&api.cca, "GET", &target).header("accept", "text/csv, */*;q=0.1");
        assert_eq!(either.start().await.status(), StatusCode::OK, "{target}");
    }
    for export in exports {
        let file = csv_of(&api, &format!("/v1/exports/{}/download", export["id"].as_str().unwrap())).await;
        match export["format"].as_str() {
            Some("csv") => assert_eq!(file.status, StatusCode::OK),
            _ => drop(file.problem(406, "not_acceptable")),
        }
    }
    let before = api.count("queue.jobs").await;
    let call = api
        .service("POST", "/internal/ingest/tickets?tenant_id=tenant_demo_cca")
        .header("accept", "text/csv");
    call.send().await.problem(406, "not_acceptable");
    api.service("GET", "/internal/jobs")
        .header("accept", "text/csv")
        .send()
        .await
        .problem(406, "not_acceptable");
    assert_eq!(api.count("queue.jobs").await, before);
}
