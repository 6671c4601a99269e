//! What clients such as n8n send: parameters of their own beside those of a page's `next`, blank
//! fields, every value as a text.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::support::TestApi;

const TICKETS: &str = "/internal/ingest/tickets?tenant_id=tenant_demo_cca";

/// A URL of an answer as the tests call it.
fn target(url: &Value) -> String {
    url.as_str().unwrap().strip_prefix("http://localhost").unwrap().to_owned()
}

/// `next` as the value of a parameter.
fn encoded(url: &str) -> String {
    form_urlencoded::byte_serialize(url.as_bytes()).collect()
}

#[tokio::test]
async fn a_client_that_repeats_its_parameters_beside_next_comes_to_the_end_of_every_list() {
    let api = TestApi::new().await;
    api.fill().await;
    for dataset in ["tickets", "csat", "time_entries"] {
        api.enqueue(&format!("/internal/ingest/{dataset}?tenant_id=tenant_demo_cca")).await;
    }
    for (list, own) in [
        ("/internal/jobs", "limit=1&state=available,scheduled&kind=&tenant_id=tenant_demo_cca"),
        ("/internal/tenants", "limit=1&active="),
        ("/internal/api-keys", "limit=1"),
        ("/v1/jobs", "limit=1&state=&q="),
        ("/v1/tickets", "limit=1&status=&created_from="),
        ("/v1/time-entries", "limit=1&from=2026-01-01&to="),
        ("/v1/csat", "limit=1&from=&to="),
        ("/v1/security-alerts", "limit=1&from="),
        ("/v1/exports", "limit=1"),
    ] {
        let get = async |target: &str| {
            let call = if list.starts_with("/v1") {
                api.tenant(&api.cca, "GET", target)
            } else {
                api.service("GET", target)
            };
            call.send().await.ok(StatusCode::OK)
        };
        let whole = get(&format!("{list}?{}", own.replace("limit=1", "limit=500"))).await;
        let items = whole["items"].as_array().unwrap().len();
        let (mut page, mut beside, mut named) = (get(&format!("{list}?{own}")).await, 0, 0);
        let mut longest = 0;
        while !page["next"].is_null() {
            let next = target(&page["next"]);
            longest = longest.max(next.len());
            // Both ways give the same page: the parameters beside the URL, and the URL as the
            // cursor.
            let by_cursor =
                get(&format!("{list}?{own}&cursor={}", encoded(page["next"].as_str().unwrap()))).await;
            page = get(&format!("{next}&{own}")).await;
            let ids = |page: &Value| -> Vec<Value> {
                let key = ["id", "cw_ticket_id", "cw_time_entry_id", "survey_id", "alert_id"];
                let items = page["items"].as_array().unwrap().iter();
                items.map(|item| key.iter().find_map(|key| item.get(*key)).unwrap().clone()).collect()
            };
            assert_eq!(ids(&by_cursor), ids(&page), "{list}");
            beside += 1;
            named += page["items"].as_array().unwrap().len();
            assert!(beside < 50, "{list} ends");
        }
        assert!(beside >= 1 && named == items - 1, "{list} has several pages: {beside}, {named} of {items}");
        assert!(longest < own.len() + 400, "{list}: a URL of {longest} bytes grows with each page");
    }
}

#[tokio::test]
async fn different_values_of_one_parameter_are_refused_and_equal_ones_are_one() {
    let api = TestApi::new().await;
    api.get("/internal/jobs?limit=2&limit=2&tenant_id=tenant_demo_cca&tenant_id=tenant_demo_cca")
        .await
        .items();
    for (query, field) in [
        ("limit=2&limit=3", "limit"),
        ("tenant_id=tenant_demo_cca&tenant_id=tenant_demo_client2", "tenant_id"),
        ("cursor=00&cursor=01", "cursor"),
        ("cursor=http%3A%2F%2Flocalhost%2Finternal%2Fjobs", "cursor"),
        ("cursor=http%3A%2F%2Flocalhost%2Finternal%2Fjobs%3Flimit%3D1", "cursor"),
        ("=x", ""),
        ("surprise=", "surprise"),
    ] {
        assert_eq!(api.get(&format!("/internal/jobs?{query}")).await.wrong_fields(), [field], "{query}");
    }
    let same = format!("{TICKETS}&priority=3&run_at=2099-01-01T00:00:00Z");
    let body = r#"{"priority": "3", "run_at": "2099-01-01T01:00:00+01:00"}"#;
    api.service("POST", &same).json(body).send().await.ok(StatusCode::ACCEPTED);
    let other = api.service("POST", &same).json(r#"{"priority": 4}"#).send().await;
    assert_eq!(other.wrong_fields(), ["priority"]);
}

#[tokio::test]
async fn blank_parameters_of_enqueues_count_as_not_given() {
    let api = TestApi::new().await;
    let blank = format!("{TICKETS}&force=&run_at=&priority=%20&max_attempts=&=");
    let call = api.service("POST", &blank).header("idempotency-key", "").header("prefer", "");
    let job = call.json(r#"{"run_at": "", "priority": " ", "max_attempts": "", "": ""}"#).send().await;
    let job = job.ok(StatusCode::ACCEPTED);
    assert_eq!((&job["priority"], &job["state"]), (&json!(0), &json!("available")));
    for path in ["kpi/compute-daily", "exports/generate", "pipelines/daily"] {
        let none = api.post(&format!("/internal/{path}?tenant_id=tenant_demo_cca&date=")).await;
        assert_eq!(none.wrong_fields(), ["date"], "what is needed is not given either");
    }
    let export = "/internal/exports/generate?tenant_id=tenant_demo_cca&date=2026-01-20&format=";
    assert_eq!(api.enqueue(export).await["args"]["format"], "json");
}

#[tokio::test]
async fn numbers_and_booleans_of_every_body_are_also_texts() {
    let api = TestApi::new().await;
    let send = async |method: &str, target: &str, body: &str| {
        api.service(method, target).json(body).send().await.ok(StatusCode::OK)
    };
    let job = api.service("POST", TICKETS).json(r#"{"max_attempts":"3","priority":"-7","":""}"#).send().await;
    let job = job.ok(StatusCode::ACCEPTED);
    assert_eq!((&job["max_attempts"], &job["priority"]), (&json!(3), &json!(-7)));

    let body = r#"{"action":"cancel","filter":{"state":"available","kind":"","":""},"dry_run":"true","":""}"#;
    assert_eq!(send("POST", "/internal/jobs/bulk", body).await, json!({"count": 1, "exact": true}));
    let none = api.service("POST", "/internal/jobs/bulk");
    let none =
        none.json(r#"{"action":"cancel","filter":{"state":"","kind":" "},"dry_run":true}"#).send().await;
    assert_eq!(none.wrong_fields(), ["filter"], "blank filters are no filter");

    let body = r#"{"kind":"compute_kpi","tenants":"all","from":"2026-01-01",
        "to":"2026-01-02","order":"","reprocess":"all","max_running":"5","share":"0.5","priority":"","dry_run":"True"}"#;
    assert_eq!(send("POST", "/internal/backfills", body).await["total"], 4);
    let made = body.replace(r#""dry_run":"True""#, r#""dry_run":"false""#);
    let made = api.service("POST", "/internal/backfills").json(made).send().await.ok(StatusCode::ACCEPTED);
    assert_eq!((&made["max_running"], &made["share"]), (&json!(5), &json!(0.5)));
    let path = format!("/internal/backfills/{}", made["id"].as_str().unwrap());
    let set = send("PATCH", &path, r#"{"share":"1","max_running":""}"#).await;
    assert_eq!((&set["max_running"], &set["share"]), (&json!(5), &json!(1.0)), "blank is not null");

    let limits =
        r#"{"queue":{"rate":"10","period_s":"2.5","burst":"3.0","max_running":"4"},"lanes":"","":""}"#;
    let queue = send("PUT", "/internal/queues/ingest/limits", limits).await;
    assert_eq!(queue["limits"]["queue"], json!({"rate":10,"period_s":2.5,"burst":3,"max_running":4}));
    let lanes = r#"{"queues":{"kpi":{"paused":"true","max_running":"2","weight":""},"":""}}"#;
    let lane = send("PUT", "/internal/tenants/tenant_demo_cca/limits", lanes).await["queues"]["kpi"].clone();
    assert_eq!((&lane["paused"], &lane["limits"]["max_running"]), (&json!(true), &json!(2)));
    let schedule =
        send("PUT", "/internal/schedules/rescue", r#"{"enabled":"true","missed_limit":"7","cron":""}"#).await;
    assert_eq!((&schedule["enabled"], &schedule["missed_limit"]), (&json!(true), &json!(7)));
    let priority = format!("/internal/jobs/{}/priority", job["id"].as_str().unwrap());
    assert_eq!(send("PUT", &priority, r#"{"priority":"9"}"#).await["priority"], 9);
    let cancel = priority.replace("/priority", "/cancel");
    assert_eq!(send("POST", &cancel, r#"{"":""}"#).await["state"], "cancelled");
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_told_in_words_of_people() {
    let api = TestApi::new().await;
    for (method, target, body, field) in [
        ("POST", TICKETS, r#"{"priority": "three"}"#, "priority"),
        ("POST", TICKETS, r#"{"priority": 99999999999999999999}"#, "priority"),
        ("POST", TICKETS, r#"{"priority": [1]}"#, "priority"),
        ("POST", TICKETS, r#"{"max_attempts": true}"#, "max_attempts"),
        ("POST", TICKETS, r#"{"run_at": 5}"#, "run_at"),
        ("POST", TICKETS, r#"{"run_at": {"a": 1}}"#, "run_at"),
        ("POST", TICKETS, r#"{"": 1}"#, ""),
        ("POST", TICKETS, r#"{"surprise": ""}"#, "surprise"),
        ("POST", TICKETS, r#"{"priority": 1, "priority": 2}"#, "body"),
        ("POST", "/internal/jobs/bulk", r#"{"action": 1}"#, "action"),
        ("POST", "/internal/jobs/bulk", r#"{"action": "retry", "filter": "x"}"#, "filter"),
        ("POST", "/internal/jobs/bulk", r#"{"action": "retry", "filter": {}, "dry_run": 1}"#, "dry_run"),
        ("POST", "/internal/backfills", r#"{"share": "half"}"#, "share"),
        ("POST", "/internal/backfills", r#"{"dry_run": "perhaps"}"#, "dry_run"),
        ("PUT", "/internal/schedules/rescue", r#"{"missed_limit": 70000}"#, "missed_limit"),
        ("PUT", "/internal/schedules/rescue", r#"{"missed": "never"}"#, "missed"),
        ("PUT", "/internal/schedules/rescue", r#"{"missed": 7}"#, "missed"),
        ("PUT", "/internal/queues/ingest/limits", r#"{"queue": 5}"#, "queue"),
        ("PUT", "/internal/queues/ingest/limits", r#"{"queue": {"rate": 1.5}}"#, "queue.rate"),
        ("PUT", "/internal/tenants/tenant_demo_cca/limits", r#"{"queues": []}"#, "queues"),
        ("PUT", "/internal/tenants/tenant_demo_cca/limits", r#"{"queues": {"kpi": 1}}"#, "queues.kpi"),
    ] {
        let problem = api.service(method, target).json(body).send().await.problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], field, "{body}: {problem}");
        let message = problem["errors"][0]["message"].as_str().unwrap();
        for foreign in
            ["i64", "i16", "u16", "f64", "invalid type", "struct", "Option", "variant", "serde", "line 1"]
        {
            assert!(!message.contains(foreign), "{body}: {message}");
        }
    }
    assert_eq!(api.count("queue.jobs").await, 0);
}

#[tokio::test]
async fn a_time_that_no_answer_could_tell_is_refused() {
    let api = TestApi::new().await;
    for at in ["9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00%2B00:01"] {
        assert_eq!(api.post(&format!("{TICKETS}&run_at={at}")).await.wrong_fields(), ["run_at"], "{at}");
        let before = format!("/internal/jobs?created_before={at}");
        assert_eq!(api.get(&before).await.wrong_fields(), ["created_before"], "{at}");
    }
    let last = api.enqueue(&format!("{TICKETS}&run_at=9999-12-31T23:59:59Z")).await;
    assert_eq!(last["scheduled_at"], "9999-12-31T23:59:59Z");
}

#[tokio::test]
async fn an_id_that_is_none_is_an_ordinary_404() {
    let api = TestApi::new().await;
    for (target, code) in [
        ("/internal/jobs/xyz", "unknown_job"),
        ("/internal/jobs/xyz/events", "unknown_job"),
        ("/internal/workflows/%3Cb%3E", "unknown_workflow"),
        ("/internal/backfills/7", "unknown_backfill"),
        ("/internal/exports/7/download", "unknown_export"),
        ("/v1/jobs/1-2", "unknown_job"),
        ("/v1/exports/xyz", "unknown_export"),
        ("/v1/exports/xyz/download", "unknown_export"),
    ] {
        let call = if target.starts_with("/v1") {
            api.tenant(&api.cca, "GET", target)
        } else {
            api.service("GET", target)
        };
        let problem = call.send().await.problem(404, code);
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            !detail.contains("UUID") && !detail.contains("Uuid") && !detail.contains("parse"),
            "{detail}"
        );
    }
    for act in ["jobs/xyz/cancel", "jobs/xyz/retry", "jobs/xyz/run_now"] {
        api.post(&format!("/internal/{act}")).await.problem(404, "unknown_job");
    }
    api.post("/internal/workers/xyz/drain").await.problem(404, "unknown_worker");
    let unknown =
        api.get("/internal/jobs/0198c0de-0000-7000-8000-000000000000").await.problem(404, "unknown_job");
    assert_eq!(unknown["title"], api.get("/internal/jobs/xyz").await.problem(404, "unknown_job")["title"]);
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_as_long_as_may_be() {
    let api = TestApi::new().await;
    let job = api.enqueue(TICKETS).await;
    let path = format!("jobs/{}", job["id"].as_str().unwrap());
    api.post(&format!("/internal/{path}/cancel")).await.ok(StatusCode::OK);
    for wait in ["90", "61", "1e6", "9223372036854775807"] {
        api.get(&format!("/internal/{path}?wait={wait}")).await.ok(StatusCode::OK);
        api.v1(&format!("/v1/{path}?wait={wait}")).await.ok(StatusCode::OK);
    }
    for wait in ["-1", "soon", "1.5"] {
        assert_eq!(
            api.get(&format!("/internal/{path}?wait={wait}")).await.wrong_fields(),
            ["wait"],
            "{wait}"
        );
    }
}
