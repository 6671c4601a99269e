//! Tenants, made and changed by the service.

use axum::http::StatusCode;
use futures_util::future::join_all;
use serde_json::{Value, json};
use weirgate_test_support::Answer;

use crate::support::TestApi;

async fn create(api: &TestApi, body: &Value) -> Answer {
    api.service("POST", "/internal/tenants").json(body.to_string()).send().await
}

async fn change(api: &TestApi, name: &str, body: &Value) -> Answer {
    api.service("PATCH", &format!("/internal/tenants/{name}")).json(body.to_string()).send().await
}

fn acme() -> Value {
    json!({ "slug": "acme", "name": "Acme Ltd", "time_zone": "Europe/London" })
}

/// The newest entries of the audit about a tenant.
async fn noted(api: &TestApi) -> Vec<Value> {
    api.get("/internal/audit?action=tenant&limit=2").await.items()
}

#[tokio::test]
async fn a_tenant_is_made_shown_listed_and_used() {
    let api = TestApi::new().await;
    let made = create(&api, &acme()).await;
    assert_eq!(made.header("location"), Some("http://localhost/internal/tenants/acme"));
    let made = made.ok(StatusCode::CREATED);
    let mut shown = made.clone();
    for field in ["id", "created_at"] {
        assert!(shown.as_object_mut().unwrap().remove(field).unwrap().is_string(), "{field}");
    }
    let expected = json!({ "slug": "acme", "name": "Acme Ltd", "is_active": true, "llm_enabled": false,
        "time_zone": "Europe/London" });
    assert_eq!(shown, expected);
    for name in ["acme", made["id"].as_str().unwrap()] {
        assert_eq!(api.get(&format!("/internal/tenants/{name}")).await.ok(StatusCode::OK), made, "{name}");
    }
    let all = ["acme", "tenant_demo_cca", "tenant_demo_client2"];
    assert_eq!(api.get("/internal/tenants").await.column("slug"), all);
    let newest = &noted(&api).await[0];
    assert_eq!((&newest["action"], &newest["target"]), (&json!("tenant.create"), &json!("acme")));
    api.enqueue("/internal/ingest/tickets?tenant_id=acme").await;
    create(&api, &acme()).await.problem(409, "slug_taken");
}

#[tokio::test]
async fn tenants_are_listed_by_whether_they_are_active() {
    let api = TestApi::new().await;
    change(&api, "tenant_demo_cca", &json!({ "is_active": false })).await.ok(StatusCode::OK);
    for (query, slugs) in [
        ("", &["tenant_demo_cca", "tenant_demo_client2"][..]),
        ("active=", &["tenant_demo_cca", "tenant_demo_client2"]),
        ("active=true", &["tenant_demo_client2"]),
        ("active=FALSE", &["tenant_demo_cca"]),
    ] {
        assert_eq!(api.get(&format!("/internal/tenants?{query}")).await.column("slug"), slugs, "{query}");
    }
    let page = api.get("/internal/tenants?limit=1").await.ok(StatusCode::OK);
    let next = page["next"].as_str().unwrap().strip_prefix("http://localhost").unwrap().to_owned();
    assert_eq!(api.get(&next).await.column("slug"), ["tenant_demo_client2"]);
    assert_eq!(api.get("/internal/tenants?active=yes").await.wrong_fields(), ["active"]);
    let csv = api.service("GET", "/internal/tenants").header("accept", "text/csv").send().await;
    csv.problem(406, "not_acceptable");
}

#[tokio::test]
async fn what_cannot_be_a_tenant_is_refused_by_field_with_an_example() {
    let api = TestApi::new().await;
    let tenants = api.count("identity.tenants").await;
    let with = |field: &str, value: Value| {
        let mut body = acme();
        body[field] = value;
        body
    };
    for (body, field, says) in [
        (json!({}), "slug", "acme_emea"),
        (with("slug", json!("")), "slug", "required"),
        (with("slug", json!("a b")), "slug", "acme_emea"),
        (with("slug", json!("a".repeat(65))), "slug", "1 to 64"),
        (with("slug", json!("system")), "slug", "is reserved"),
        (with("slug", json!("all")), "slug", "is reserved"),
        (with("slug", json!("0198c0de-0000-7000-8000-000000000000")), "slug", "is reserved"),
        (with("slug", json!("0198C0DE000070008000000000000000")), "slug", "is reserved"),
        (with("name", Value::Null), "name", "Acme Ltd"),
        (with("name", json!("a\nb")), "name", "Acme Ltd"),
        (with("name", json!("a".repeat(201))), "name", "at most 200"),
        (with("time_zone", json!(" ")), "time_zone", "Europe/Berlin"),
        (with("time_zone", json!("UTC+3")), "time_zone", "such as Europe/Berlin"),
        (with("time_zone", json!("MSK")), "time_zone", "such as Europe/Berlin"),
        (with("time_zone", json!("europe/berlin")), "time_zone", "it is spelled \"Europe/Berlin\""),
        (with("is_active", json!("perhaps")), "is_active", "true or false"),
        (with("timezone", json!("UTC")), "timezone", "time_zone"),
    ] {
        let refused = create(&api, &body).await;
        assert_eq!(refused.wrong_fields()[0], field, "{body}");
        let message = refused.problem(422, "validation_failed")["errors"][0]["message"].clone();
        assert!(message.as_str().unwrap().contains(says), "{body}: {message}");
    }
    let all_wrong = create(&api, &json!({})).await;
    assert_eq!(all_wrong.wrong_fields(), ["slug", "name", "time_zone"], "all that is missing");
    for (body, field) in [
        (json!({ "time_zone": "MSK" }), "time_zone"),
        (json!({ "name": "a\u{7}" }), "name"),
        (json!({ "slug": "other" }), "slug"),
        (json!({ "is_active": 2 }), "is_active"),
    ] {
        let refused = change(&api, "tenant_demo_cca", &body).await;
        assert_eq!(refused.wrong_fields(), [field], "{body}");
    }
    assert_eq!(api.count("identity.tenants").await, tenants);
    for name in ["nobody", "0198c0de-0000-7000-8000-000000000000", "system", "%00", "%ff"] {
        api.get(&format!("/internal/tenants/{name}")).await.problem(404, "unknown_tenant");
        change(&api, name, &json!({ "name": "x" })).await.problem(404, "unknown_tenant");
    }
}

#[tokio::test]
async fn values_are_also_texts_and_blank_ones_are_not_given() {
    let api = TestApi::new().await;
    let body = json!({ "slug": "acme", "name": "Acme Ltd", "time_zone": "UTC", "is_active": "false", "llm_enabled": "",
        "": "" });
    let made = create(&api, &body).await.ok(StatusCode::CREATED);
    assert_eq!((&made["is_active"], &made["llm_enabled"]), (&json!(false), &json!(false)));
    let body = json!({ "name": " ", "time_zone": "", "is_active": "TRUE", "llm_enabled": null });
    let changed = change(&api, "acme", &body).await.ok(StatusCode::OK);
    assert_eq!((&changed["name"], &changed["is_active"]), (&json!("Acme Ltd"), &json!(true)));
}

#[tokio::test]
async fn a_change_that_changes_nothing_answers_the_same_and_the_audit_says_so() {
    let api = TestApi::new().await;
    let before = api.get("/internal/tenants/tenant_demo_cca").await.ok(StatusCode::OK);
    let acts = api.count("identity.audit").await;
    let same = json!({ "name": before["name"], "is_active": true });
    assert_eq!(change(&api, "tenant_demo_cca", &json!({})).await.ok(StatusCode::OK), before);
    let none = api.service("PATCH", "/internal/tenants/tenant_demo_cca").send().await;
    assert_eq!(none.ok(StatusCode::OK), before, "nor does none");
    assert_eq!(api.count("identity.audit").await, acts, "what asks for nothing is no act");
    assert_eq!(change(&api, "tenant_demo_cca", &same).await.ok(StatusCode::OK), before);
    assert_eq!(noted(&api).await[0]["detail"], json!({ "before": same, "after": same }));
    let body = json!({ "name": "CCA", "time_zone": "America/New_York" });
    let changed = change(&api, api.cca.id.to_string().as_str(), &body).await.ok(StatusCode::OK);
    assert_eq!((&changed["name"], &changed["time_zone"]), (&body["name"], &body["time_zone"]));
    assert_eq!(changed["created_at"], before["created_at"]);
    let newest = &noted(&api).await[0];
    assert_eq!((&newest["action"], &newest["target"]), (&json!("tenant.change"), &json!("tenant_demo_cca")));
    assert!(newest["detail"].to_string().contains("America/New_York"), "{newest}");
}

/// No more jobs are taken, its schedules and keys are of no use; true takes all of that back.
#[tokio::test]
async fn a_tenant_that_is_made_inactive_is_so_everywhere_and_comes_back() {
    let api = TestApi::new().await;
    let run = |tenant: &str| {
        let body = json!({ "tenant": tenant }).to_string();
        api.service("POST", "/internal/schedules/daily_pipeline/run").json(body).send()
    };
    change(&api, "tenant_demo_cca", &json!({ "is_active": false })).await.ok(StatusCode::OK);
    api.post("/internal/ingest/csat?tenant_id=tenant_demo_cca").await.problem(409, "tenant_inactive");
    api.v1("/v1/jobs").await.problem(401, "unauthorized");
    run("tenant_demo_cca").await.problem(409, "tenant_inactive");
    let keys = api.get("/internal/tenants/tenant_demo_cca/api-keys").await;
    assert_eq!(keys.column("state"), ["tenant_inactive"]);
    let schedules = api.get("/internal/schedules").await.items();
    assert!(!schedules[0]["next_runs"].to_string().contains("tenant_demo_cca"), "{}", schedules[0]);
    change(&api, "tenant_demo_cca", &json!({ "is_active": true })).await.ok(StatusCode::OK);
    api.v1("/v1/jobs").await.items();
    api.enqueue("/internal/ingest/csat?tenant_id=tenant_demo_cca").await;
    run("tenant_demo_cca").await.ok(StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_lost_answer_and_its_repeat_make_one_tenant() {
    let api = TestApi::new().await;
    let keyed = |body: Value| {
        let call = api.service("POST", "/internal/tenants").header("idempotency-key", "acme-1");
        call.json(body.to_string()).send()
    };
    let answers = join_all((0..6).map(|_| keyed(acme()))).await;
    let made: Vec<Value> = answers.iter().map(|answer| answer.ok(StatusCode::CREATED)).collect();
    assert!(made.iter().all(|it| *it == made[0]), "{made:?}");
    let firsts = answers.iter().filter(|answer| answer.header("idempotency-replayed").is_none()).count();
    assert_eq!((firsts, api.count("identity.tenants").await), (1, 3));
    change(&api, "acme", &json!({ "name": "Acme Inc" })).await.ok(StatusCode::OK);
    assert_eq!(keyed(acme()).await.ok(StatusCode::CREATED)["name"], "Acme Inc", "as it is now");
    let other = json!({ "slug": "other", "name": "Other", "time_zone": "UTC" });
    keyed(other).await.problem(422, "idempotency_key_reused");
}
