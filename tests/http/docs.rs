//! The documentation: all of the surface, from this host only.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use serde_json::Value;

use crate::support::TestApi;

/// Every operation there is, with something in place of its parameters.
const OPERATIONS: [(&str, &str); 77] = [
    ("GET", "/.well-known/jwks.json"),
    ("GET", "/.well-known/oauth-authorization-server"),
    ("POST", "/oauth/token"),
    ("POST", "/oauth/revoke"),
    ("POST", "/api/v1/auth/login"),
    ("POST", "/api/v1/auth/refresh"),
    ("POST", "/api/v1/auth/logout"),
    ("POST", "/api/v1/auth/password"),
    ("GET", "/api/v1/auth/me"),
    ("GET", "/health"),
    ("GET", "/health/ready"),
    ("GET", "/metrics"),
    ("POST", "/internal/ingest/{dataset}"),
    ("POST", "/internal/kpi/compute-daily"),
    ("POST", "/internal/exports/generate"),
    ("POST", "/internal/pipelines/daily"),
    ("POST", "/internal/backfills"),
    ("GET", "/internal/backfills"),
    ("GET", "/internal/backfills/{id}"),
    ("PATCH", "/internal/backfills/{id}"),
    ("POST", "/internal/backfills/{id}/pause"),
    ("POST", "/internal/backfills/{id}/resume"),
    ("POST", "/internal/backfills/{id}/cancel"),
    ("POST", "/internal/backfills/{id}/retry_failed"),
    ("GET", "/internal/jobs"),
    ("GET", "/internal/jobs/{id}"),
    ("GET", "/internal/jobs/{id}/events"),
    ("POST", "/internal/jobs/{id}/cancel"),
    ("POST", "/internal/jobs/{id}/retry"),
    ("POST", "/internal/jobs/{id}/run_now"),
    ("PUT", "/internal/jobs/{id}/priority"),
    ("POST", "/internal/workers/{id}/drain"),
    ("POST", "/internal/jobs/bulk"),
    ("GET", "/internal/workflows"),
    ("GET", "/internal/workflows/{id}"),
    ("POST", "/internal/workflows/{id}/retry-failed"),
    ("POST", "/internal/workflows/{id}/cancel"),
    ("GET", "/internal/tenants"),
    ("POST", "/internal/tenants"),
    ("GET", "/internal/tenants/{id}"),
    ("PATCH", "/internal/tenants/{id}"),
    ("GET", "/internal/tenants/{id}/api-keys"),
    ("POST", "/internal/tenants/{id}/api-keys"),
    ("DELETE", "/internal/tenants/{id}/api-keys/{prefix}"),
    ("GET", "/internal/api-keys"),
    ("GET", "/internal/scopes"),
    ("GET", "/internal/failures"),
    ("GET", "/internal/tenants/{id}/kpis/daily"),
    ("GET", "/internal/tenants/{id}/limits"),
    ("PUT", "/internal/tenants/{id}/limits"),
    ("GET", "/internal/queues"),
    ("GET", "/internal/queues/{name}"),
    ("POST", "/internal/queues/{name}/pause"),
    ("POST", "/internal/queues/{name}/resume"),
    ("PUT", "/internal/queues/{name}/limits"),
    ("GET", "/internal/exports/{id}/download"),
    ("GET", "/internal/audit"),
    ("GET", "/internal/rejects"),
    ("GET", "/internal/workers"),
    ("GET", "/internal/schedules"),
    ("PUT", "/internal/schedules/{name}"),
    ("POST", "/internal/schedules/{name}/pause"),
    ("POST", "/internal/schedules/{name}/resume"),
    ("POST", "/internal/schedules/{name}/run"),
    ("GET", "/v1/kpis/daily"),
    ("GET", "/v1/tickets"),
    ("GET", "/v1/tickets/{cw_ticket_id}"),
    ("GET", "/v1/tickets/{cw_ticket_id}/summary"),
    ("GET", "/v1/time-entries"),
    ("GET", "/v1/csat"),
    ("GET", "/v1/security-alerts"),
    ("GET", "/v1/exports"),
    ("GET", "/v1/exports/{id}"),
    ("GET", "/v1/exports/{id}/download"),
    ("GET", "/v1/jobs"),
    ("GET", "/v1/jobs/{id}"),
    ("GET", "/v1/jobs/{id}/events"),
];

/// Every operation, with something in place of its path parameters.
pub(super) fn operations() -> Vec<(&'static str, String)> {
    OPERATIONS.iter().map(|(method, path)| (*method, filled(path))).collect()
}

/// Whether people sign in there: no job is asked for, and the standards say what is refused.
pub(super) fn is_sign_in(path: &str) -> bool {
    ["/oauth/", "/.well-known/", "/api/v1/auth/"].iter().any(|start| path.starts_with(start))
}

/// A path with something in place of its parameters.
pub(super) fn filled(path: &str) -> String {
    path.replace("{dataset}", "tickets")
        .replace("schedules/{name}", "schedules/daily_pipeline")
        .replace("{name}", "ingest")
        .replace("{cw_ticket_id}", "TKT-001")
        .replace("{prefix}", "wg_00000000")
        .replace("{id}", "0198c0de-0000-7000-8000-000000000000")
}

async fn document(api: &TestApi) -> Value {
    api.anonymous("GET", "/openapi.json").send().await.ok(StatusCode::OK)
}

#[tokio::test]
async fn the_document_has_every_operation_and_no_other() {
    let document = document(&TestApi::new().await).await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{method} {path}");
            documented.insert((method.to_uppercase(), path.clone()));
        }
    }
    let expected =
        OPERATIONS.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(documented, expected);
}

#[tokio::test]
async fn the_router_has_every_operation_of_the_document() {
    let api = TestApi::new().await;
    for (method, path) in operations() {
        let call = if path.starts_with("/v1") {
            api.tenant(&api.cca, method, &path)
        } else {
            api.service(method, &path)
        };
        let answer = call.send().await;
        assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert!(!answer.text().contains("unknown_route"), "{method} {path}");
    }
}

/// Compares each path, each schema and the rest of the document with the one that was reviewed, in
/// a file of its own in `openapi/`, so that a change shows what it changes and no more.
#[tokio::test]
async fn the_document_is_the_one_that_was_reviewed() {
    let mut document = document(&TestApi::new().await).await;
    document["info"]["version"] = "[version]".into();
    let mut parts: BTreeMap<String, Value> = BTreeMap::new();
    for (path, item) in std::mem::take(document["paths"].as_object_mut().unwrap()) {
        let name = path.trim_start_matches('/').replace('/', ".").replace(['{', '}'], "");
        parts.insert(format!("path.{name}"), item);
    }
    for (name, schema) in std::mem::take(document["components"]["schemas"].as_object_mut().unwrap()) {
        parts.insert(format!("schema.{name}"), schema);
    }
    parts.insert("document".to_owned(), document);

    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("openapi");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, part) in &parts {
            insta::assert_json_snapshot!(name.as_str(), part);
        }
    });
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http/openapi");
    let reviewed: BTreeSet<String> =
        std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    let expected = parts.keys().map(|name| format!("{name}.snap")).collect();
    assert_eq!(reviewed, expected, "a file that nothing is compared with is deleted");
}

#[tokio::test]
async fn the_pages_load_from_this_host_only() {
    let api = TestApi::new().await;
    for page in ["/docs", "/redoc"] {
        let answer = api.anonymous("GET", page).send().await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        let references = references(answer.text());
        assert!(
            references.iter().any(|it| std::path::Path::new(it).extension().is_some_and(|it| it == "js"))
        );
        for reference in references {
            assert!(!reference.contains("//"), "{page} loads {reference}");
            let file = api.anonymous("GET", &format!("/{reference}")).send().await;
            assert_eq!(file.status, StatusCode::OK, "{reference}");
        }
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("script-src 'self'") && !policy.contains("http"), "{policy}");
    }
    api.anonymous("GET", "/docs/nothing.js").send().await.problem(404, "unknown_route");
}

/// What the page's `src` and `href` attributes name.
fn references(html: &str) -> Vec<String> {
    let attributes = html.split(" src=\"").skip(1).chain(html.split(" href=\"").skip(1));
    attributes.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}
