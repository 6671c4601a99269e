//! API keys of tenants, made and withdrawn by the service.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use weirgate_test_support::Answer;

use crate::support::TestApi;

const KEYS: &str = "/internal/tenants/tenant_demo_cca/api-keys";

async fn create(api: &TestApi, body: &Value) -> Answer {
    api.service("POST", KEYS).json(body.to_string()).send().await
}

async fn with(api: &TestApi, key: &str) -> Answer {
    api.anonymous("GET", "/v1/jobs").header("x-api-key", key).send().await
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_key_is_shown_once_works_and_is_refused_once_it_is_deleted() {
    let api = TestApi::new().await;
    let made = create(&api, &json!({ "name": "n8n" })).await.ok(StatusCode::CREATED);
    let (key, prefix) = (text(&made["key"]), text(&made["prefix"]));
    assert!(key.starts_with(&format!("{prefix}_")), "{made}");
    assert_eq!((&made["state"], &made["tenant"]), (&json!("good"), &json!("tenant_demo_cca")));
    assert_eq!((&made["expires_at"], &made["last_used_at"]), (&Value::Null, &Value::Null));
    with(&api, &key).await.items();
    let listed = api.get(KEYS).await;
    assert_eq!(listed.column("name"), ["seed", "n8n"]);
    assert!(!listed.text().contains(&key) && !listed.text().contains("\"key\""), "{}", listed.text());
    let delete = |target: String| api.service("DELETE", &target).send();
    delete(format!("{KEYS}/wg_00000000")).await.problem(404, "unknown_api_key");
    let others = format!("/internal/tenants/tenant_demo_client2/api-keys/{prefix}");
    delete(others).await.problem(404, "unknown_api_key");
    delete(format!("/internal/tenants/nobody/api-keys/{prefix}")).await.problem(404, "unknown_tenant");
    with(&api, &key).await.items();
    let acts = api.count("identity.audit").await;
    for _ in 0..2 {
        let gone = delete(format!("{KEYS}/{prefix}")).await;
        assert_eq!((gone.status, gone.body.len()), (StatusCode::NO_CONTENT, 0));
    }
    with(&api, &key).await.problem(401, "unauthorized");
    assert_eq!(api.get(KEYS).await.column("state"), ["good", "revoked"]);
    assert_eq!(api.count("identity.audit").await, acts + 1, "deleted twice is one act");
    let acts = api.get("/internal/audit?action=key&limit=2").await.items();
    assert_eq!((&acts[0]["action"], &acts[1]["action"]), (&json!("key.revoke"), &json!("key.create")));
    assert!(acts.iter().all(|act| act["target"] == json!(prefix)), "{acts:?}");
    let whole = delete(format!("{KEYS}/{key}")).await.problem(404, "unknown_api_key");
    assert!(!text(&whole["detail"]).contains(&key), "{whole}");
}

#[tokio::test]
async fn a_key_ends_when_it_was_said_to() {
    let api = TestApi::new().await;
    api.db().travel_to("2030-01-01T00:00:00Z").await;
    let made = create(&api, &json!({ "name": "audit", "expires_at": "2030-01-01T02:00:00+01:00" })).await;
    let made = made.ok(StatusCode::CREATED);
    assert_eq!(made["expires_at"], "2030-01-01T01:00:00Z");
    with(&api, &text(&made["key"])).await.items();
    api.db().travel(Duration::from_hours(1)).await;
    with(&api, &text(&made["key"])).await.problem(401, "unauthorized");
    assert_eq!(api.get(KEYS).await.column("state"), ["good", "expired"]);
    for (body, field, says) in [
        (json!({}), "name", "n8n"),
        (json!({ "name": "" }), "name", "required"),
        (json!({ "name": "a\u{1}" }), "name", "n8n"),
        (json!({ "name": "x", "expires_at": "2029-01-01T00:00:00Z" }), "expires_at", "in the past"),
        (json!({ "name": "x", "expires_at": "tomorrow" }), "expires_at", "2026-01-31T08:00:00Z"),
        (json!({ "name": "x", "expires_at": 7 }), "expires_at", "text"),
        (json!({ "name": "x", "expires": "2031-01-01T00:00:00Z" }), "expires", "expires_at"),
    ] {
        let refused = create(&api, &body).await;
        assert_eq!(refused.wrong_fields(), [field], "{body}");
        let message = refused.problem(422, "validation_failed")["errors"][0]["message"].clone();
        assert!(message.as_str().unwrap().contains(says), "{body}: {message}");
    }
    let blank = create(&api, &json!({ "name": "blank", "expires_at": " " })).await.ok(StatusCode::CREATED);
    assert_eq!(blank["expires_at"], Value::Null);
    let nobody = api.service("POST", "/internal/tenants/nobody/api-keys").json(r#"{"name":"x"}"#);
    nobody.send().await.problem(404, "unknown_tenant");
}

#[tokio::test]
async fn key_has_the_scopes_that_it_was_given_each_once() {
    let api = TestApi::new().await;
    let given = json!({ "name": "n8n", "scopes": ["read:csat", "read:jobs", "read:csat"] });
    let made = create(&api, &given).await.ok(StatusCode::CREATED);
    assert_eq!(made["scopes"], json!(["read:jobs", "read:csat"]));
    let without = create(&api, &json!({ "name": "all", "scopes": null })).await.ok(StatusCode::CREATED);
    assert_eq!(without["scopes"], Value::Null);
    let listed: Vec<Value> = api.get(KEYS).await.items().iter().map(|key| key["scopes"].clone()).collect();
    assert_eq!(listed, [Value::Null, json!(["read:jobs", "read:csat"]), Value::Null]);
    let acts = api.get("/internal/audit?action=key.create&limit=2").await.items();
    assert_eq!(acts[1]["detail"]["after"]["scopes"], json!(["read:jobs", "read:csat"]), "{acts:?}");
    let known = api.get("/internal/scopes").await.items();
    let known: Vec<&str> = known.iter().map(|scope| scope["name"].as_str().unwrap()).collect();
    for (scopes, says) in [
        (json!([]), "no scope is given"),
        (json!(["read:kpi"]), "no scope \"read:kpi\""),
        (json!(["read:jobs", "*"]), "no scope \"*\""),
        (json!("read:jobs"), "expected a list"),
        (json!([["read:jobs"]]), "text"),
    ] {
        let refused = create(&api, &json!({ "name": "x", "scopes": scopes })).await;
        let message = refused.problem(422, "validation_failed")["errors"][0]["message"].clone();
        let message = message.as_str().unwrap();
        assert!(message.contains(says), "{scopes}: {message}");
        if says.starts_with("no scope") {
            assert!(message.ends_with(&known.join(", ")), "{message}: all that there are");
        }
    }
    assert_eq!(api.get(KEYS).await.items().len(), 3);
}

#[tokio::test]
async fn a_repeated_request_makes_one_key_and_does_not_show_it_again() {
    let api = TestApi::new().await;
    let keyed = || {
        let call = api.service("POST", KEYS).header("idempotency-key", "key-1");
        call.json(r#"{"name": "n8n"}"#).send()
    };
    let first = keyed().await.ok(StatusCode::CREATED);
    let again = keyed().await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let again = again.ok(StatusCode::CREATED);
    assert_eq!((&again["id"], &again["prefix"]), (&first["id"], &first["prefix"]));
    let told = (&first["replayed"], &again["replayed"], &again["key"]);
    assert_eq!(told, (&json!(false), &json!(true), &Value::Null));
    assert_eq!(api.get(KEYS).await.items().len(), 2);
    // The key, and what is random of it, are in no row of any table.
    let key = text(&first["key"]);
    let secret = key.rsplit_once('_').unwrap().1;
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', table_schema, table_name) from information_schema.tables
         where table_type = 'BASE TABLE' and table_schema in ('queue', 'identity', 'msp')",
    )
    .fetch_all(&api.db().pool)
    .await
    .unwrap();
    assert!(tables.iter().any(|table| table == "identity.idempotency_keys"), "{tables:?}");
    for table in tables {
        let sql = format!("select count(*) from {table} t where t::text like '%' || $1 || '%'");
        let found: i64 =
            sqlx::query_scalar(AssertSqlSafe(sql)).bind(secret).fetch_one(&api.db().pool).await.unwrap();
        assert_eq!(found, 0, "{table}");
    }
}

#[tokio::test]
async fn the_keys_of_all_tenants_are_paged() {
    let api = TestApi::new().await;
    for name in ["one", "two", "three"] {
        create(&api, &json!({ "name": name })).await.ok(StatusCode::CREATED);
    }
    for (list, expected) in [
        (KEYS, &["seed", "one", "two", "three"][..]),
        ("/internal/api-keys", &["seed", "one", "two", "three", "seed"]),
    ] {
        let (mut names, mut next) = (Vec::new(), Some(format!("{list}?limit=2")));
        while let Some(path) = next {
            let page = api.get(&path).await;
            names.extend(page.column("name"));
            let page = page.ok(StatusCode::OK);
            next = page["next"].as_str().map(|url| url.strip_prefix("http://localhost").unwrap().to_owned());
        }
        assert_eq!(names, expected, "{list}");
    }
    api.get("/internal/tenants/nobody/api-keys").await.problem(404, "unknown_tenant");
    api.v1("/internal/api-keys").await.problem(401, "unauthorized");
}
