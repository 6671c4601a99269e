//! Which key may do what under `/v1`: one table, and every operation of the document.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;
use weirgate_test_support::{Answer, Call};

use super::docs::{filled, operations};
use crate::support::TestApi;
use crate::support::member::{Browser, know_client, member, tokens};

/// Each operation, and the scope that it needs.
const NEEDED: [(&str, &str); 13] = [
    ("GET /v1/jobs", "read:jobs"),
    ("GET /v1/jobs/{id}", "read:jobs"),
    ("GET /v1/jobs/{id}/events", "read:jobs"),
    ("GET /v1/kpis/daily", "read:kpis"),
    ("GET /v1/tickets", "read:msp_tickets"),
    ("GET /v1/tickets/{cw_ticket_id}", "read:msp_tickets"),
    ("GET /v1/tickets/{cw_ticket_id}/summary", "read:msp_tickets"),
    ("GET /v1/exports", "read:exports"),
    ("GET /v1/exports/{id}", "read:exports"),
    ("GET /v1/exports/{id}/download", "read:exports"),
    ("GET /v1/csat", "read:csat"),
    ("GET /v1/security-alerts", "read:security_alerts"),
    ("GET /v1/time-entries", "read:time_entries"),
];

/// The operations below `/v1`, each with the scope that the document says it asks for.
async fn documented(api: &TestApi) -> BTreeMap<String, String> {
    let document = api.anonymous("GET", "/openapi.json").send().await.ok(StatusCode::OK);
    let mut found = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{} {path}", method.to_uppercase());
            let responses = &operation["responses"];
            if !path.starts_with("/v1/") {
                assert!(responses["403"].is_null(), "{name} needs no scope");
                continue;
            }
            let ways = operation["security"].as_array().unwrap();
            assert!(ways.len() > 1, "{name}: by header and as bearer");
            let asked: Vec<&Value> = ways.iter().flat_map(|way| way.as_object().unwrap().values()).collect();
            assert!(asked.iter().all(|scopes| *scopes == asked[0]), "{name}: the same, whichever way");
            let [scope] = asked[0].as_array().unwrap().as_slice() else {
                panic!("{name} asks for one scope")
            };
            let scope = scope.as_str().unwrap().to_owned();
            assert!(responses["403"]["description"].as_str().unwrap().contains(&scope), "{name}");
            assert!(!responses["403"]["headers"]["WWW-Authenticate"].is_null(), "{name}");
            found.insert(name, scope);
        }
    }
    found
}

/// Gives `tenant_demo_cca` a key with these scopes, as the table has them.
async fn key_with(api: &TestApi, name: &str, scopes: Option<&[&str]>) -> String {
    let target = "/internal/tenants/tenant_demo_cca/api-keys";
    let made = api.service("POST", target).json(json!({ "name": name }).to_string()).send().await;
    let made = made.ok(StatusCode::CREATED);
    sqlx::query("update identity.api_keys set scopes = $2 where id = $1")
        .bind(made["id"].as_str().unwrap().parse::<Uuid>().unwrap())
        .bind(scopes)
        .execute(&api.db().pool)
        .await
        .unwrap();
    made["key"].as_str().unwrap().to_owned()
}

/// Whether somebody is let in: also who is told that there is no such thing, or what is wrong.
fn is_let_in(answer: &Answer) -> bool {
    !matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

fn assert_refused(answer: &Answer, scope: &str, what: &str) {
    let problem = answer.problem(403, "insufficient_scope");
    assert_eq!(problem["title"], "Insufficient scope", "{what}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(&format!("needs the scope {scope}")), "{what}: {detail}");
    let challenge = format!(r#"Bearer error="insufficient_scope", scope="{scope}""#);
    assert_eq!(answer.header("www-authenticate"), Some(challenge.as_str()), "{what}");
}

#[tokio::test]
async fn every_operation_asks_for_the_scope_of_the_table() {
    let api = TestApi::new().await;
    let expected = NEEDED.map(|(operation, scope)| (operation.to_owned(), scope.to_owned()));
    assert_eq!(documented(&api).await, BTreeMap::from(expected));
    let known = api.get("/internal/scopes").await.items();
    let known: BTreeSet<&str> = known.iter().map(|scope| scope["name"].as_str().unwrap()).collect();
    assert_eq!(known, NEEDED.iter().map(|(_, scope)| *scope).collect(), "each scope is asked for");
}

#[tokio::test]
async fn every_operation_lets_in_those_of_the_table_and_no_others() {
    let api = TestApi::new().await;
    let scopes: BTreeSet<&str> = NEEDED.iter().map(|(_, scope)| *scope).collect();
    let without = key_with(&api, "without", None).await;
    let empty = key_with(&api, "empty", Some(&[])).await;
    let mut keys = Vec::new();
    for scope in &scopes {
        let others: Vec<&str> = scopes.iter().copied().filter(|other| other != scope).collect();
        let only = key_with(&api, &format!("only {scope}"), Some(&[*scope])).await;
        keys.push((*scope, only, key_with(&api, &format!("all but {scope}"), Some(&others)).await));
    }
    for (operation, needed) in NEEDED {
        let (method, path) = operation.split_once(' ').unwrap();
        let path = filled(path);
        let ask = |key: &str| api.with_key(key, method, &path).send();
        assert!(is_let_in(&ask(&without).await), "{operation}: a key that was given none");
        assert_refused(&ask(&empty).await, needed, operation);
        for (scope, only, all_but) in &keys {
            let (with, others) = (ask(only).await, ask(all_but).await);
            if *scope == needed {
                assert!(is_let_in(&with), "{operation} with {scope} alone: {}", with.text());
                assert_refused(&others, needed, operation);
            } else {
                assert_refused(&with, needed, operation);
                assert!(is_let_in(&others), "{operation} with all but {scope}: {}", others.text());
            }
        }
        let of_nobody: [Call; 2] = [api.service(method, &path), api.anonymous(method, &path)];
        for call in of_nobody {
            call.send().await.problem(401, "unauthorized");
        }
    }
    let detail = api.with_key(&keys[0].1, "GET", "/v1/kpis/daily?date=2026-01-20").send().await;
    let detail = detail.problem(403, "insufficient_scope")["detail"].clone();
    assert_eq!(detail, "this needs the scope read:kpis; the credential has read:csat");
}

#[tokio::test]
async fn scopes_that_are_taken_away_are_gone_with_the_next_request() {
    let api = TestApi::new().await;
    let key = key_with(&api, "narrowed", Some(&["read:jobs"])).await;
    api.with_key(&key, "GET", "/v1/jobs").send().await.items();
    api.execute("update identity.api_keys set scopes = '{read:kpis}' where name = 'narrowed'").await;
    assert_refused(&api.with_key(&key, "GET", "/v1/jobs").send().await, "read:jobs", "narrowed");
}

#[tokio::test]
async fn every_role_is_let_in_by_its_own_scopes_and_sees_nothing_of_the_operators() {
    let api = TestApi::new().await;
    know_client(&api).await;
    let known: BTreeSet<&str> = NEEDED.iter().map(|(_, scope)| *scope).collect();
    for role in weirgate_msp::ROLES.roles {
        assert!(role.scopes.iter().all(|scope| known.contains(scope)), "{}: each scope is one", role.name);
        let email = format!("{}@acme.example", role.name);
        member(&api, &email, role.name, &[api.cca.id]).await;
        let access = tokens(&api, &email).await.access;
        let bearer = format!("Bearer {access}");
        for (operation, needed) in NEEDED {
            let (method, path) = operation.split_once(' ').unwrap();
            let path = filled(path);
            for call in [
                api.anonymous(method, &path).header("authorization", &bearer),
                api.anonymous(method, &path).header("x-api-key", &access),
            ] {
                let answer = call.send().await;
                if role.scopes.contains(&needed) {
                    assert!(is_let_in(&answer), "{operation} as {}: {}", role.name, answer.text());
                } else {
                    assert_refused(&answer, needed, operation);
                }
            }
        }
        for (method, path) in operations().iter().filter(|(_, path)| path.starts_with("/internal/")) {
            let call = api.anonymous(method, path).header("authorization", &bearer);
            call.send().await.problem(401, "unauthorized");
        }
        let browser = Browser::sign_in(&api, &email).await;
        for page in ["", "/jobs", "/tenants", "/accounts", "/audit"] {
            let shown = browser.get(&format!("/dashboard{page}")).await;
            assert_eq!(shown.status, StatusCode::FORBIDDEN, "{page}");
            assert!(shown.text().contains("Not for this account"), "{}", shown.text());
        }
        assert_eq!(browser.get("/account").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_member_reads_the_rows_of_their_tenant_alone_and_a_held_answer_ends_with_them() {
    let api = TestApi::new().await;
    know_client(&api).await;
    member(&api, "grace@acme.example", "reader", &[api.cca.id]).await;
    let access = tokens(&api, "grace@acme.example").await.access;
    let bearer = format!("Bearer {access}");
    let ours = api.enqueue("/internal/ingest/tickets?tenant_id=tenant_demo_cca").await["id"].clone();
    let theirs = format!("/internal/ingest/tickets?tenant_id={}", api.client2.slug);
    let theirs = api.enqueue(&theirs).await["id"].clone();
    let read = async |id: &Value, query: &str| {
        let path = format!("/v1/jobs/{}{query}", id.as_str().unwrap());
        api.anonymous("GET", &path).header("authorization", &bearer).send().await
    };
    assert_eq!(read(&ours, "").await.ok(StatusCode::OK)["id"], ours);
    read(&theirs, "").await.problem(404, "unknown_job");
    let held = async { read(&ours, "?wait=30").await };
    let end = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        api.execute("update identity.memberships set disabled_at = queue.now()").await;
    };
    let (held, ()) = tokio::join!(held, end);
    held.problem(401, "unauthorized");
}
