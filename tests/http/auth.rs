//! Who may call, and how often.

use std::time::Duration;

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use weirgate_identity::keys;

use super::docs::operations;
use crate::support::TestApi;

#[tokio::test]
async fn every_guarded_route_asks_for_its_credential() {
    let api = TestApi::new().await;
    let key = api.cca.api_key.clone().unwrap();
    for (method, path) in operations().iter().filter(|(_, path)| !is_open(path)) {
        let refused = api.anonymous(method, path).send().await;
        refused.problem(401, "unauthorized");
        let challenge = refused.header("www-authenticate").unwrap();
        assert!(challenge.contains("Bearer realm="), "{method} {path}: {challenge}");
        let other_surface = if path.starts_with("/v1") {
            api.service(method, path)
        } else {
            api.anonymous(method, path).header("authorization", &format!("Bearer {key}"))
        };
        let refused = other_surface.send().await;
        refused.problem(401, "unauthorized");
        assert!(refused.header("www-authenticate").is_some(), "{method} {path}");
    }
    assert_eq!(api.count("queue.jobs").await, 0);
}

fn is_open(path: &str) -> bool {
    !path.starts_with("/internal/") && !path.starts_with("/v1/")
}

#[tokio::test]
async fn wrong_credentials_are_refused() {
    let api = TestApi::new().await;
    let key = api.cca.api_key.clone().unwrap();
    let last = if key.ends_with('0') { "1" } else { "0" };
    let nearly = format!("{}{last}", &key[..key.len() - 1]);
    for wrong in [nearly.as_str(), "", "wg_", "nonsense", &key[..20]] {
        api.anonymous("GET", "/v1/jobs").header("x-api-key", wrong).send().await.problem(401, "unauthorized");
    }
    for wrong in ["Bearer wrong", "Bearer", "Basic dGVzdA==", ""] {
        let refused = api.anonymous("GET", "/internal/jobs").header("authorization", wrong).send().await;
        refused.problem(401, "unauthorized");
        assert_eq!(refused.header("www-authenticate"), Some(r#"Bearer realm="weirgate""#));
    }
}

#[tokio::test]
async fn a_key_also_comes_as_bearer_and_ends_when_it_is_revoked() {
    let api = TestApi::new().await;
    let mut conn = api.db().pool.acquire().await.unwrap();
    let key = keys::create(&mut conn, api.cca.id, "second", [9; 32]).await.unwrap();
    let bearer = || api.anonymous("GET", "/v1/jobs").header("authorization", &format!("bearer {key}"));
    assert_eq!(bearer().send().await.status, StatusCode::OK);
    let (prefix, _) = key.rsplit_once('_').unwrap();
    assert!(keys::revoke(&mut conn, prefix).await.unwrap());
    bearer().send().await.problem(401, "unauthorized");
    assert_eq!(api.v1("/v1/jobs").await.status, StatusCode::OK, "the tenant's other key stays");
}

#[tokio::test]
async fn the_last_use_of_a_key_is_kept_to_the_minute() {
    let api = TestApi::new().await;
    let last_used = async || -> Option<DateTime<Utc>> {
        sqlx::query_scalar("select last_used_at from identity.api_keys where tenant_id = $1")
            .bind(api.cca.id)
            .fetch_one(&api.db().pool)
            .await
            .unwrap()
    };
    assert_eq!(last_used().await, None);
    api.v1("/v1/jobs").await;
    let first = last_used().await.expect("it was used");
    api.db().travel(Duration::from_mins(2)).await;
    api.v1("/v1/jobs").await;
    assert!(last_used().await.unwrap() - first >= chrono::TimeDelta::minutes(2));
    api.execute("update identity.api_keys set last_used_at = null").await;
    let wrong = format!("{}0", api.client2.api_key.as_deref().unwrap());
    api.anonymous("GET", "/v1/jobs").header("x-api-key", &wrong).send().await.problem(401, "unauthorized");
    assert_eq!(last_used().await, None);
}

#[tokio::test]
async fn a_caller_over_its_budget_is_told_when_to_come_again() {
    let api = TestApi::with(|config| {
        config.requests_per_second = 1.try_into().unwrap();
        config.burst = 2.try_into().unwrap();
    })
    .await;
    let mut served = 0;
    let refused = loop {
        let answer = api.v1("/v1/jobs").await;
        if answer.status != StatusCode::OK {
            break answer;
        }
        served += 1;
        assert!(served < 100, "no budget");
    };
    assert!(served >= 2, "the burst is served");
    refused.problem(429, "rate_limited");
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert_eq!(seconds, 1);
    // Budgets are a caller's own.
    assert_eq!(api.tenant(&api.client2, "GET", "/v1/jobs").send().await.status, StatusCode::OK);
    assert_eq!(api.get("/internal/jobs").await.status, StatusCode::OK);
    assert_eq!(api.anonymous("GET", "/health").send().await.status, StatusCode::OK);
}
