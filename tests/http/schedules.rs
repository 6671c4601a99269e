//! Schedules, seen and set by the service.

use axum::http::StatusCode;
use serde_json::{Value, json};
use weirgate_test_support::Answer;

use crate::support::TestApi;

async fn put(api: &TestApi, name: &str, body: &Value) -> Answer {
    api.service("PUT", &format!("/internal/schedules/{name}")).json(body.to_string()).send().await
}

async fn get(api: &TestApi, name: &str) -> Value {
    let all = api.get("/internal/schedules").await.items();
    all.into_iter().find(|it| it["name"] == name).expect("it is listed")
}

#[tokio::test]
async fn all_are_listed_with_their_next_runs() {
    let api = TestApi::new().await;
    api.db().travel_to("2030-03-29T23:30:00Z").await;
    assert_eq!(
        api.get("/internal/schedules").await.column("name"),
        ["daily_pipeline", "prune", "reconcile", "rescue", "rotate_signing_keys"]
    );
    let mut daily = get(&api, "daily_pipeline").await;
    let runs = daily["next_runs"].take();
    assert!(!daily["description"].take().as_str().unwrap().is_empty());
    let expected = json!({
        "name": "daily_pipeline", "description": null, "is_upkeep": false, "per_tenant": true, "cron": "0 15 0 * * *",
        "time_zone": null, "enabled": true, "missed": "all", "missed_limit": 7, "last_tick_at": null,
        "last_job_id": null, "next_runs": null, "problems": [], "updated_at": null,
    });
    assert_eq!(daily, expected);
    // client2 is in Paris, where summer begins that Sunday; cca is in UTC.
    let first: Vec<_> =
        runs.as_array().unwrap()[..4].iter().map(|it| (&it["at"], &it["tenant_id"])).collect();
    let (cca, client2) = (json!(api.cca.id), json!(api.client2.id));
    let at = ["30T00:15", "30T23:15", "31T00:15", "31T22:15"].map(|it| json!(format!("2030-03-{it}:00Z")));
    assert_eq!(first, [(&at[0], &cca), (&at[1], &client2), (&at[2], &cca), (&at[3], &client2)]);
    assert_eq!(runs[0]["tenant"], "tenant_demo_cca");
    let rescue = get(&api, "rescue").await;
    assert_eq!((&rescue["is_upkeep"], rescue["next_runs"].as_array().unwrap().len()), (&json!(true), 10));
    assert_eq!(rescue["next_runs"][0]["tenant_id"], Value::Null);
}

#[tokio::test]
async fn what_is_put_stays_and_what_is_not_named_is_left_alone() {
    let api = TestApi::new().await;
    api.db().travel_to("2030-01-10T12:00:00Z").await;
    let change =
        json!({"cron": "0 30 1 * * *", "time_zone": "Europe/Berlin", "missed": "skip", "missed_limit": 3});
    let changed = put(&api, "daily_pipeline", &change).await.ok(StatusCode::OK);
    for (name, value) in change.as_object().unwrap() {
        assert_eq!(&changed[name], value, "{name}");
    }
    assert!(changed["updated_at"].is_string());
    assert_eq!(changed["next_runs"][0]["at"], "2030-01-11T00:30:00Z");
    let paused = put(&api, "daily_pipeline", &json!({"enabled": false})).await.ok(StatusCode::OK);
    assert_eq!((&paused["enabled"], &paused["next_runs"]), (&json!(false), &json!([])));
    assert_eq!((&paused["cron"], &paused["missed"]), (&change["cron"], &change["missed"]));
    let resumed = json!({"enabled": true, "time_zone": null});
    let resumed = put(&api, "daily_pipeline", &resumed).await.ok(StatusCode::OK);
    assert_eq!((&resumed["enabled"], &resumed["time_zone"]), (&json!(true), &Value::Null));
    let seen = get(&api, "daily_pipeline").await;
    assert_eq!(seen["cron"], change["cron"]);
    // Of five fields, the second is 0.
    let prune = put(&api, "prune", &json!({"cron": "30 4 * * *"})).await.ok(StatusCode::OK);
    assert_eq!(prune["next_runs"][0]["at"], "2030-01-11T04:30:00Z");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_where_it_is_wrong() {
    let api = TestApi::new().await;
    for (name, body, field, says) in [
        ("daily_pipeline", json!({"cron": "0 99 * * * *"}), "cron", "field 2 (minute), \"99\""),
        ("daily_pipeline", json!({"cron": "every day"}), "cron", "expected 6 fields"),
        ("daily_pipeline", json!({"cron": "0 0 0 30 2 *"}), "cron", "never fires"),
        ("daily_pipeline", json!({"time_zone": "Europe/Atlantis"}), "time_zone", "Europe/Atlantis"),
        ("daily_pipeline", json!({"missed": "some"}), "missed", "skip"),
        ("daily_pipeline", json!({"missed_limit": 0}), "missed_limit", "from 1 to 1000"),
        ("daily_pipeline", json!({"enabled": "no"}), "enabled", "boolean"),
        ("daily_pipeline", json!({"surprise": 1}), "surprise", "unknown field"),
        ("rescue", json!({"time_zone": null}), "time_zone", "does not run per tenant"),
        ("rescue", json!({"missed": "all"}), "missed", "single run"),
    ] {
        let refused = put(&api, name, &body).await;
        assert_eq!(refused.wrong_fields(), [field], "{body}");
        let message = refused.problem(422, "validation_failed")["errors"][0]["message"].clone();
        assert!(message.as_str().unwrap().contains(says), "{body}: {message}");
    }
    let both = put(&api, "rescue", &json!({"cron": "x", "time_zone": "x"})).await;
    assert_eq!(both.wrong_fields(), ["cron", "time_zone"], "all that is wrong");
    assert_eq!(api.count("queue.schedules").await, 0, "and nothing was changed");
    put(&api, "nightly", &json!({})).await.problem(404, "unknown_schedule");
    let path = "/internal/schedules/rescue";
    api.service("PUT", path).body("text/plain", "x").send().await.problem(415, "unsupported_media_type");
    api.tenant(&api.cca, "PUT", path).json("{}").send().await.problem(401, "unauthorized");
}

#[tokio::test]
async fn paused_schedule_has_no_next_runs_until_it_is_resumed() {
    let api = TestApi::new().await;
    let post = async |name: &str, verb: &str| api.post(&format!("/internal/schedules/{name}/{verb}")).await;
    let runs = |schedule: &Value| schedule["next_runs"].as_array().unwrap().len();
    for _ in 0..2 {
        let paused = post("daily_pipeline", "pause").await.ok(StatusCode::OK);
        assert_eq!(
            (&paused["enabled"], runs(&paused)),
            (&json!(false), 0),
            "also where it is paused already"
        );
    }
    assert_eq!(get(&api, "daily_pipeline").await["enabled"], false);
    let resumed = post("daily_pipeline", "resume").await.ok(StatusCode::OK);
    assert_eq!((&resumed["enabled"], runs(&resumed)), (&json!(true), 10));
    assert_eq!(get(&api, "daily_pipeline").await, resumed);
    for verb in ["pause", "resume"] {
        post("nightly", verb).await.problem(404, "unknown_schedule");
    }
}

#[tokio::test]
async fn what_no_longer_makes_sense_is_shown() {
    let api = TestApi::new().await;
    put(&api, "daily_pipeline", &json!({"enabled": true})).await.ok(StatusCode::OK);
    // Postgres knows this one, and tenants could have it once; it is no IANA zone.
    api.execute("alter table identity.tenants disable trigger user").await;
    api.execute("update identity.tenants set time_zone = 'CEST-2' where slug = 'tenant_demo_cca'").await;
    let daily = get(&api, "daily_pipeline").await;
    let problems = daily["problems"].as_array().unwrap();
    assert!(problems.len() == 1 && problems[0].as_str().unwrap().contains("tenant_demo_cca"), "{problems:?}");
    assert!(daily["next_runs"].as_array().unwrap().iter().all(|run| run["tenant"] == "tenant_demo_client2"));
    api.execute("update queue.schedules set cron = 'x'").await;
    let daily = get(&api, "daily_pipeline").await;
    assert!(daily["problems"][0].as_str().unwrap().contains("expected 6 fields"), "{daily}");
    assert_eq!(daily["next_runs"], json!([]));
}
