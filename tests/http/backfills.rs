//! Backfills over HTTP, with the production jobs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use weirgate_msp::DailySlices;
use weirgate_queue::lanes::change::change_lane;
use weirgate_queue::lanes::settings::LaneSettings;
use weirgate_queue::worker::expander::Expander;
use weirgate_test_support::{Answer, tenant};

use crate::support::TestApi;

const PATH: &str = "/internal/backfills";

async fn post(api: &TestApi, body: &Value) -> Answer {
    api.service("POST", PATH).json(body.to_string()).send().await
}

pub(super) async fn create(api: &TestApi, body: &Value) -> Value {
    post(api, body).await.ok(StatusCode::ACCEPTED)
}

/// January 2026, every day of both tenants.
pub(super) fn january(kind: &str) -> Value {
    json!({"kind": kind, "tenants": "all", "from": "2026-01-01", "to": "2026-01-31", "reprocess": "all"})
}

pub(super) fn with(mut body: Value, name: &str, value: impl Into<Value>) -> Value {
    body[name] = value.into();
    body
}

pub(super) async fn dry(api: &TestApi, body: Value) -> Value {
    post(api, &with(body, "dry_run", true)).await.ok(StatusCode::OK)
}

pub(super) async fn expand(api: &TestApi) {
    Expander::new(vec![Arc::new(DailySlices)]).run_once(&api.db().pool).await.unwrap();
}

fn path(backfill: &Value) -> String {
    format!("{PATH}/{}", backfill["id"].as_str().unwrap())
}

pub(super) async fn show(api: &TestApi, backfill: &Value) -> Value {
    api.get(&path(backfill)).await.ok(StatusCode::OK)
}

/// Follows it until it is final.
async fn ended(api: &TestApi, backfill: &Value) -> Value {
    for _ in 0..1200 {
        let shown = show(api, backfill).await;
        if !shown["finished_at"].is_null() {
            return shown;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it does not end: {}", show(api, backfill).await);
}

/// The tenants and days of its jobs of a kind, in order of enqueueing.
pub(super) async fn days(api: &TestApi, backfill: &Value, kind: &str) -> Vec<(String, String)> {
    sqlx::query_as(
        "select t.slug, args ->> 'date' from queue.jobs j join identity.tenants t on t.id = (j.args ->> 'tenant')::uuid
         where backfill_id = $1 and kind = $2 order by seq",
    )
    .bind(weirgate_test_support::id(&backfill["id"]))
    .bind(kind)
    .fetch_all(&api.db().pool)
    .await
    .unwrap()
}

/// Makes the newest job of a tenant and day end so.
pub(super) async fn end_job(api: &TestApi, date: &str, state: &str) {
    sqlx::query(
        "update queue.jobs set state = $2::queue.job_state, finalized_at = queue.now(), unique_key = null
         where args ->> 'date' = $1",
    )
    .bind(date)
    .bind(state)
    .execute(&api.db().pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn it_is_stored_at_once_and_shown() {
    let api = TestApi::new().await;
    let answer = post(&api, &with(january("compute_kpi"), "max_running", 7)).await;
    let made = answer.ok(StatusCode::ACCEPTED);
    let url = format!("http://localhost{}", path(&made));
    assert_eq!((answer.header("location"), answer.header("retry-after")), (Some(url.as_str()), Some("1")));
    let mut shown = show(&api, &made).await;
    for volatile in ["id", "created_at", "observed_at"] {
        assert!(shown.as_object_mut().unwrap().remove(volatile).unwrap().is_string(), "{volatile}");
    }
    let expected = json!({
        "kind": "compute_kpi", "state": "running", "tenants": "all", "from": "2026-01-01", "to": "2026-01-31",
        "order": "newest_first", "reprocess": "all", "share": 0.25, "max_running": 7, "priority": 0,
        "future_days": 0, "total": 62, "expanded": 0, "skipped": 0, "done": 0, "fraction": 0.0, "jobs": 0,
        "counts": {"waiting": 0, "scheduled": 0, "available": 0, "running": 0, "retryable": 0, "completed": 0,
            "cancelled": 0, "discarded": 0},
        "rate_per_s": null, "estimated_finish": null, "cancelled_at": null, "finished_at": null,
        "final": false, "duplicate": false, "replayed": false, "retry_after_s": 1,
        "status_url": url, "links": {
            "self": url, "pause": format!("{url}/pause"), "resume": format!("{url}/resume"),
            "cancel": format!("{url}/cancel"), "retry_failed": format!("{url}/retry_failed"),
            "jobs": format!("http://localhost/internal/jobs?backfill_id={}", made["id"].as_str().unwrap()),
        },
    });
    assert_eq!(shown, expected);
    assert_eq!(api.count("queue.jobs").await, 0, "its jobs come later");
}

#[tokio::test]
async fn it_runs_through_every_tenant_and_day() {
    let api = TestApi::new().await;
    let worker = api.start_worker();
    let made = create(&api, &january("compute_kpi")).await;
    let done = ended(&api, &made).await;
    assert_eq!((&done["state"], &done["done"]), (&json!("completed"), &json!(62)));
    assert_eq!((&done["counts"]["completed"], &done["fraction"]), (&json!(62), &json!(1.0)));
    assert_eq!(api.count("msp.kpi_daily").await, 62);
    let jobs = api.get(&format!("/internal/jobs?backfill_id={}", done["id"].as_str().unwrap())).await;
    assert!(jobs.items().iter().all(|job| job["backfill_id"] == done["id"]));
    // What is there already is not done again.
    let again = create(&api, &with(january("compute_kpi"), "reprocess", "missing")).await;
    let again = ended(&api, &again).await;
    assert_eq!((&again["skipped"], &again["jobs"]), (&json!(62), &json!(0)));
    worker.stop().await;
}

#[tokio::test]
async fn a_pipeline_is_a_workflow_for_each_day() {
    let api = TestApi::new().await;
    let worker = api.start_worker();
    let body = json!({
        "kind": "daily_pipeline", "tenants": ["tenant_demo_cca"], "from": "2026-01-19", "to": "2026-01-20"
    });
    let done = ended(&api, &create(&api, &body).await).await;
    assert_eq!((&done["jobs"], &done["counts"]["completed"]), (&json!(12), &json!(12)));
    assert_eq!((api.count("msp.exports").await, api.count("msp.kpi_daily").await), (2, 2));
    assert_eq!(done["kind"], "daily_pipeline");
    // By its older name it is the same.
    let older = dry(&api, with(with(body.clone(), "kind", "pipeline"), "reprocess", "all")).await;
    assert_eq!((&older["kind"], &older["total"]), (&json!("daily_pipeline"), &json!(2)));
    let workflows = api.get("/internal/workflows?name=pipeline").await.ok(StatusCode::OK);
    let titles: Vec<&str> =
        workflows["items"].as_array().unwrap().iter().map(|it| it["title"].as_str().unwrap()).collect();
    let expected =
        ["daily pipeline, tenant_demo_cca, 2026-01-19", "daily pipeline, tenant_demo_cca, 2026-01-20"];
    assert_eq!(titles, expected, "the newest day was first");
    for day in ["2026-01-19", "2026-01-20"] {
        let of_day =
            api.get(&format!("/internal/jobs?date={day}&backfill_id={}", done["id"].as_str().unwrap())).await;
        assert_eq!(of_day.items().len(), 6, "every job of a slice carries its day");
    }
    let workflows: i64 = sqlx::query_scalar("select count(distinct workflow_id) from queue.jobs")
        .fetch_one(&api.db().pool)
        .await
        .unwrap();
    assert_eq!(workflows, 2);
    let total = dry(&api, with(body, "reprocess", "missing")).await["total"].clone();
    assert_eq!(total, 0, "its exports are there");
    worker.stop().await;
}

#[tokio::test]
async fn tenants_take_turns_within_a_day() {
    let api = TestApi::new().await;
    let body = with(january("compute_kpi"), "to", "2026-01-02");
    let newest = create(&api, &body).await;
    expand(&api).await;
    let (a, b) = ("tenant_demo_cca".to_owned(), "tenant_demo_client2".to_owned());
    let (first, second) = ("2026-01-01".to_owned(), "2026-01-02".to_owned());
    let expected = [(&a, &second), (&b, &second), (&a, &first), (&b, &first)]
        .map(|(tenant, day)| (tenant.clone(), day.clone()));
    assert_eq!(days(&api, &newest, "compute_kpi").await, expected);
    let body = with(with(january("generate_export"), "to", "2026-01-02"), "order", "oldest_first");
    let body = with(body, "tenants", json!([api.client2.id, "tenant_demo_cca", "tenant_demo_client2"]));
    let oldest = create(&api, &body).await;
    assert_eq!(oldest["tenants"], json!(["tenant_demo_client2", "tenant_demo_cca"]), "each once");
    expand(&api).await;
    let expected = [(&b, &first), (&a, &first), (&b, &second), (&a, &second)]
        .map(|(tenant, day)| (tenant.clone(), day.clone()));
    assert_eq!(days(&api, &oldest, "generate_export").await, expected);
}

#[tokio::test]
async fn a_second_one_over_the_same_days_makes_nothing_while_the_first_is_on_its_way() {
    let api = TestApi::new().await;
    for kind in ["compute_kpi", "generate_export", "daily_pipeline"] {
        let first = create(&api, &january(kind)).await;
        expand(&api).await;
        let second = create(&api, &january(kind)).await;
        expand(&api).await;
        let (first, second) = (show(&api, &first).await, show(&api, &second).await);
        assert_eq!((&first["skipped"], &second["skipped"]), (&json!(0), &json!(62)), "{kind}");
        assert_eq!((&second["jobs"], &second["state"]), (&json!(0), &json!("running")));
    }
    expand(&api).await;
    let states: BTreeSet<String> = api.get(PATH).await.column("state").into_iter().collect();
    assert_eq!(
        states,
        ["completed".to_owned(), "running".to_owned()].into(),
        "the second ones had nothing to do"
    );
}

#[tokio::test]
async fn days_of_a_tenant_that_becomes_inactive_are_skipped() {
    let api = TestApi::new().await;
    let made = create(&api, &january("compute_kpi")).await;
    api.execute("update identity.tenants set is_active = false where slug = 'tenant_demo_cca'").await;
    expand(&api).await;
    let shown = show(&api, &made).await;
    assert_eq!((&shown["expanded"], &shown["skipped"]), (&json!(62), &json!(31)));
}

#[tokio::test]
async fn it_can_be_steered() {
    let api = TestApi::new().await;
    let made = create(&api, &with(january("compute_kpi"), "priority", -5)).await;
    let act = async |verb: &str| api.post(&format!("{}/{verb}", path(&made))).await;
    expand(&api).await;
    assert_eq!(act("pause").await.ok(StatusCode::OK)["state"], "paused");
    assert_eq!(act("pause").await.ok(StatusCode::OK)["state"], "paused");
    assert_eq!(act("resume").await.ok(StatusCode::OK)["state"], "running");
    let patch = async |body: &str| api.service("PATCH", &path(&made)).json(body).send().await;
    let set = patch(r#"{"share": 0.5, "max_running": 3}"#).await.ok(StatusCode::OK);
    assert_eq!((&set["share"], &set["max_running"]), (&json!(0.5), &json!(3)));
    let set = patch(r#"{"max_running": null}"#).await.ok(StatusCode::OK);
    assert_eq!((&set["share"], &set["max_running"]), (&json!(0.5), &json!(null)));
    for (body, field) in [
        (r#"{"share": 0}"#, "share"),
        (r#"{"max_running": 0}"#, "max_running"),
        (r#"{"priority": 1}"#, "priority"),
    ] {
        assert_eq!(patch(body).await.wrong_fields(), [field]);
    }
    assert_eq!(act("cancel").await.ok(StatusCode::ACCEPTED)["state"], "cancelling");
    expand(&api).await;
    let cancelled = act("cancel").await.ok(StatusCode::OK);
    assert_eq!((&cancelled["state"], &cancelled["counts"]["cancelled"]), (&json!("cancelled"), &json!(62)));
    for verb in ["pause", "resume", "retry_failed"] {
        act(verb).await.problem(409, "wrong_state");
    }
    patch("{}").await.problem(409, "wrong_state");
    let nobody = format!("{PATH}/0198c0de-0000-7000-8000-000000000000");
    api.get(&nobody).await.problem(404, "unknown_backfill");
    for verb in ["pause", "resume", "cancel", "retry_failed"] {
        api.post(&format!("{nobody}/{verb}")).await.problem(404, "unknown_backfill");
    }
}

#[tokio::test]
async fn failed_days_are_retried() {
    let api = TestApi::new().await;
    let made = create(&api, &january("compute_kpi")).await;
    expand(&api).await;
    api.execute("update queue.jobs set state = 'discarded', finalized_at = queue.now()").await;
    expand(&api).await;
    assert_eq!(show(&api, &made).await["state"], "completed_with_failures");
    let retry = format!("{}/retry_failed", path(&made));
    assert_eq!(api.post(&retry).await.ok(StatusCode::ACCEPTED)["state"], "running");
    let worker = api.start_worker();
    let done = ended(&api, &made).await;
    assert_eq!((&done["state"], &done["counts"]["completed"]), (&json!("completed"), &json!(62)));
    assert_eq!(api.post(&retry).await.ok(StatusCode::OK)["state"], "completed");
    worker.stop().await;
}

#[tokio::test]
async fn all_that_is_wrong_is_told() {
    let api = TestApi::new().await;
    let wrong = json!({
        "kind": "ingest_tickets", "tenants": [], "from": "2026-02-30", "to": "soon", "order": "random",
        "reprocess": "some", "max_running": 0, "share": 1.5, "priority": 101
    });
    let fields = ["kind", "tenants", "from", "to", "order", "reprocess", "max_running", "share", "priority"];
    let answer = post(&api, &wrong).await;
    assert_eq!(answer.wrong_fields(), fields);
    assert!(answer.text().contains("ingests all that its source has, not one day"), "{}", answer.text());
    assert_eq!(api.post(PATH).await.wrong_fields(), ["kind", "tenants", "from", "to"]);
    for (name, value, field) in [
        ("from", json!("2026-02-01"), "to"),
        ("to", json!("9999-12-31"), ""),
        ("colour", json!("red"), "colour"),
        ("tenants", json!("some"), "tenants"),
        ("tenants", json!([7]), "tenants"),
        ("kind", json!(7), "kind"),
    ] {
        let answer = post(&api, &with(with(january("compute_kpi"), "dry_run", true), name, value)).await;
        if field.is_empty() {
            answer.ok(StatusCode::OK);
        } else {
            assert_eq!(answer.wrong_fields(), [field]);
        }
    }
    let unknown =
        post(&api, &with(january("compute_kpi"), "tenants", json!(["acme", "tenant_demo_cca", "b"]))).await;
    assert_eq!(unknown.problem(404, "unknown_tenant")["detail"], r#"no tenant "acme", "b""#);
    api.execute("update identity.tenants set is_active = false where slug = 'tenant_demo_cca'").await;
    let inactive = post(&api, &with(january("compute_kpi"), "tenants", json!(["tenant_demo_cca"]))).await;
    let problem = inactive.problem(409, "tenant_inactive");
    assert!(problem["detail"].as_str().unwrap().contains("tenant_demo_cca"), "{problem}");
    assert_eq!(create(&api, &january("compute_kpi")).await["total"], 31, "all are all that are active");
    assert_eq!(api.count("queue.backfills").await, 1);
}

#[tokio::test]
async fn the_range_is_bounded_but_wide() {
    let api = TestApi::new().await;
    for n in 0..30 {
        tenant(&api.db().pool, &format!("t{n}"), "UTC").await;
    }
    let wide = with(with(january("compute_kpi"), "from", "0001-01-01"), "to", "9999-12-31");
    let answer = post(&api, &wide).await;
    assert_eq!(answer.wrong_fields(), ["to"]);
    let made = create(&api, &with(wide, "to", "0900-12-31")).await;
    assert!(made["total"].as_u64().unwrap() > 10_000_000);
    assert_eq!(api.count("queue.jobs").await, 0);
}

#[tokio::test]
async fn the_same_key_is_the_same_backfill() {
    let api = TestApi::new().await;
    let body = january("compute_kpi").to_string();
    let post = async |body: &str| {
        api.service("POST", PATH).header("idempotency-key", "january").json(body).send().await
    };
    let first = post(&body).await;
    let again = post(&body).await;
    let made = first.ok(StatusCode::ACCEPTED);
    assert_eq!(again.ok(StatusCode::ACCEPTED)["id"], made["id"]);
    assert_eq!(
        (first.header("idempotency-replayed"), again.header("idempotency-replayed")),
        (None, Some("true"))
    );
    let cancelled =
        api.service("POST", &format!("{PATH}/{}/cancel", made["id"].as_str().unwrap())).send().await;
    assert!(cancelled.status.is_success());
    sqlx::query("update queue.backfills set finished_at = queue.now()")
        .execute(&api.db().pool)
        .await
        .unwrap();
    assert_eq!(post(&body).await.ok(StatusCode::OK)["state"], "cancelled", "its end is its answer");
    post(&with(january("pipeline"), "priority", 1).to_string()).await.problem(422, "idempotency_key_reused");
    assert_eq!(api.count("queue.backfills").await, 1);
}

#[tokio::test]
async fn they_are_listed_newest_first() {
    let api = TestApi::new().await;
    let mut ids = Vec::new();
    for kind in ["compute_kpi", "generate_export", "daily_pipeline"] {
        ids.insert(0, create(&api, &january(kind)).await["id"].as_str().unwrap().to_owned());
    }
    let page = api.get(&format!("{PATH}?limit=2")).await;
    assert_eq!(page.column("id"), ids[..2]);
    let next = page.ok(StatusCode::OK)["next"]
        .as_str()
        .unwrap()
        .strip_prefix("http://localhost")
        .unwrap()
        .to_owned();
    assert_eq!(api.get(&next).await.column("id"), ids[2..]);
}

#[tokio::test]
async fn a_tenant_that_is_paused_is_left_behind_and_follows_day_by_day() {
    let api = TestApi::new().await;
    let slugs = ["tenant_demo_cca", "tenant_demo_client2"];
    let set_paused = async |paused: bool| {
        let sql = "select id from identity.tenants where slug = $1";
        let id = sqlx::query_scalar(sql).bind(slugs[0]).fetch_one(&api.db().pool).await.unwrap();
        let mut tx = api.db().pool.begin().await.unwrap();
        change_lane(&mut tx, "kpi", id, LaneSettings { paused, ..LaneSettings::default() }.into())
            .await
            .unwrap();
        tx.commit().await.unwrap();
    };
    set_paused(true).await;
    let body = json!({
        "kind": "compute_kpi", "tenants": "all", "from": "2022-01-01", "to": "2025-12-31", "reprocess": "all"
    });
    let backfill = create(&api, &body).await;
    let all = 1_461;
    let complete = async |slug: &str| {
        sqlx::query(
            "update queue.jobs set state = 'completed', finalized_at = queue.now()
             where state = 'available' and tenant_id = (select id from identity.tenants where slug = $1)",
        )
        .bind(slug)
        .execute(&api.db().pool)
        .await
        .unwrap();
    };
    let made = async |slug: &str| {
        let days = days(&api, &backfill, "compute_kpi").await;
        days.into_iter().filter(|(of, _)| of == slug).map(|(_, day)| day).collect::<Vec<String>>()
    };
    for _ in 0..6 {
        expand(&api).await;
        complete(slugs[1]).await;
    }
    assert_eq!(made(slugs[1]).await.len(), all, "it is done with the other one");
    let held = made(slugs[0]).await.len();
    assert!(held <= 500, "{held}");
    let shown = show(&api, &backfill).await;
    assert_eq!(shown["expanded"].as_u64().unwrap(), (all + held) as u64, "{shown}");
    set_paused(false).await;
    for _ in 0..8 {
        complete(slugs[0]).await;
        expand(&api).await;
    }
    let made = made(slugs[0]).await;
    assert_eq!((made.len(), made.iter().collect::<BTreeSet<_>>().len()), (all, all), "each day once");
    assert!(made.is_sorted_by(|a, b| a > b), "newest first");
    complete(slugs[0]).await;
    expand(&api).await;
    let shown = show(&api, &backfill).await;
    assert_eq!((&shown["state"], &shown["done"]), (&json!("completed"), &json!(2 * all)), "{shown}");
}
