//! What holds without a database.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use axum::routing::get;
use object_store::memory::InMemory;
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tower::ServiceExt;
use weirgate_queue::read::watch::Watcher;
use weirgate_web::WebConfig;
use weirgate_web::client_address::TrustedProxies;
use weirgate_web::layers::with_layers;

use super::{Api, openapi, router};
use crate::domains::{self, Domains};

/// An API whose database is not there: nothing listens on port 1.
fn api(requests: u32) -> Api {
    let options = PgConnectOptions::new().host("127.0.0.1").port(1);
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(100)).connect_lazy_with(options);
    let watcher = Watcher::start(pool.clone(), Duration::from_mins(1));
    let requests = requests.try_into().unwrap();
    let config = WebConfig {
        service_token: "right".to_owned(),
        service_token_next: None,
        trusted_proxies: TrustedProxies::default(),
        public_url: None,
        listen: None,
        requests_per_second: requests,
        burst: requests,
        traces: None,
        secret_keys: None,
    };
    Api::new(pool, weirgate_msp::handler_parts(Arc::new(InMemory::new())), domains().list(), watcher, config)
}

fn domains() -> Domains {
    Domains::new(domains::all())
}

fn request(method: &str, path: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header("authorization", "Bearer right");
    request.body(Body::empty()).unwrap()
}

async fn problem(response: Response) -> Value {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let status = response.status();
    let body: Value =
        serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap();
    assert_eq!(body["request_id"], request_id);
    assert_eq!(body["status"], status.as_u16());
    assert_eq!(body["type"], format!("urn:weirgate:problem:{}", body["code"].as_str().unwrap()));
    body
}

async fn answer(method: &str, path: &str) -> Response {
    router(api(1000)).oneshot(request(method, path)).await.unwrap()
}

#[tokio::test]
async fn errors_of_the_router_are_problems() {
    let nothing = answer("GET", "/nothing").await;
    assert_eq!(nothing.status(), StatusCode::NOT_FOUND);
    assert_eq!(problem(nothing).await["code"], "unknown_route");

    let wrong_method = answer("DELETE", "/internal/jobs").await;
    assert_eq!(wrong_method.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(wrong_method.headers()["allow"], "GET,HEAD");
    assert_eq!(problem(wrong_method).await["code"], "method_not_allowed");
}

#[tokio::test]
async fn a_database_that_is_away_is_a_503() {
    let key = weirgate_identity::keys::new_key([1; 32]).key;
    for path in ["/health/ready", "/internal/jobs", "/v1/jobs"] {
        let mut request = request("GET", path);
        request.headers_mut().insert("x-api-key", key.parse().unwrap());
        let response = router(api(1000)).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(response.headers()["retry-after"], "1");
        assert_eq!(problem(response).await["code"], "database_unavailable");
    }
}

#[tokio::test]
async fn a_panic_is_a_500_that_tells_nothing() {
    let panics = Router::new().route("/", get(async || -> () { panic!("secret") }));
    let response = with_layers(panics, &api(1000).web).oneshot(request("GET", "/")).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = problem(response).await;
    assert_eq!(body["code"], "internal_error");
    assert!(!body.to_string().contains("secret"));
}

#[tokio::test]
async fn wrong_credentials_have_a_budget_of_their_own() {
    let app = router(api(1));
    let mut guess = request("GET", "/internal/tenants");
    guess.headers_mut().insert("authorization", "Bearer wrong".parse().unwrap());
    let refused = app.clone().oneshot(guess).await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(refused.headers().contains_key("www-authenticate"));
    let mut again = request("GET", "/v1/jobs");
    again.headers_mut().insert("authorization", "Bearer wrong".parse().unwrap());
    let slowed = app.clone().oneshot(again).await.unwrap();
    assert_eq!(slowed.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(slowed.headers().contains_key("retry-after"));
    // The service itself is not slowed down; it gets as far as the database.
    let served = app.oneshot(request("GET", "/internal/tenants")).await.unwrap();
    assert_eq!(served.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn all_that_is_wrong_is_told_before_the_database_is_asked() {
    let path = "/internal/kpi/compute-daily?tenant_id=a%20b&date=2026-02-30&priority=101&x=1&force=yes";
    let response = answer("POST", path).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let body = problem(response).await;
    let fields: Vec<&str> =
        body["errors"].as_array().unwrap().iter().filter_map(|it| it["field"].as_str()).collect();
    assert_eq!(fields, ["tenant_id", "date", "force", "priority", "x"]);
}

#[tokio::test]
async fn pages_load_nothing_from_elsewhere() {
    for path in ["/docs", "/redoc"] {
        let response = answer("GET", path).await;
        assert_eq!(response.status(), StatusCode::OK);
        let html = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert!(!String::from_utf8_lossy(&html).contains("://"), "{path}");
    }
    for file in ["docs/swagger-ui.css", "docs/swagger-ui-bundle.js", "docs/swagger-initializer.js"] {
        assert_eq!(answer("GET", &format!("/{file}")).await.status(), StatusCode::OK, "{file}");
    }
}

#[test]
fn every_reference_of_the_document_resolves() {
    let document = serde_json::to_value(openapi(domains().list())).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let text = document.to_string();
    let references = text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next());
    for pointer in references {
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}
