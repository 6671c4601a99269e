//! `/internal/workflows`: page by page, and their cancel.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use weirgate_identity::platform::Role;
use weirgate_msp::DailySlices;
use weirgate_queue::worker::expander::Expander;
use weirgate_queue::worker::{Finish, Outcome, claim, finish};
use weirgate_queue::{JobState, NewJob, OnFailure, Workflow};
use weirgate_test_support::{Does, Probe, Step, TestWorker};

use crate::support::TestApi;
use crate::support::person::Person;

/// `size` jobs, each after the first, and `outside`, which waits on the last one without being part
/// of it.
async fn fan(api: &TestApi, size: usize, first: Does) -> (Uuid, Uuid) {
    let tenant = api.cca.id;
    let mut workflow = Workflow::new();
    let id = workflow.id();
    workflow.add("first", NewJob::of(tenant, &Step::new("first", first)).unwrap());
    for number in 1..size {
        let name = format!("child {number}");
        workflow.add(&name, NewJob::of(tenant, &Step::new(&name, Does::Succeed)).unwrap()).after("first");
    }
    let jobs = workflow.enqueue(&mut api.db().pool.acquire().await.unwrap()).await.unwrap();
    let outside = NewJob::of(tenant, &Step::new("outside", Does::Succeed)).unwrap();
    api.db().enqueue_new(outside.after(jobs[size - 1].id, OnFailure::Continue)).await;
    (id, jobs[0].id)
}

#[tokio::test]
async fn a_large_workflow_comes_page_by_page_with_counts_over_all() {
    let api = TestApi::new().await;
    let (id, first) = fan(&api, 1203, Does::Succeed).await;
    let mut target = format!("/internal/workflows/{id}?limit=500");
    let (mut names, mut edges) = (BTreeSet::new(), BTreeSet::new());
    for (size, last) in [(500, false), (500, false), (203, true)] {
        let answer = api.get(&target).await;
        let page = answer.ok(StatusCode::OK);
        assert_eq!(
            (&page["id"], &page["total"], &page["is_final"]),
            (&json!(id), &json!(1203), &json!(false))
        );
        assert_eq!((&page["counts"]["available"], &page["counts"]["waiting"]), (&json!(1), &json!(1202)));
        let jobs = page["jobs"].as_array().unwrap();
        assert_eq!(jobs.len(), size);
        let own: BTreeSet<&str> = jobs.iter().map(|job| job["id"].as_str().unwrap()).collect();
        names.extend(jobs.iter().map(|job| job["name"].as_str().unwrap().to_owned()));
        for edge in page["edges"].as_array().unwrap() {
            assert_eq!((&edge["from"], &edge["on_failure"]), (&json!(first), &json!("cancel")));
            assert!(own.contains(edge["to"].as_str().unwrap()), "edges are those of the page's jobs");
            edges.insert(edge["to"].as_str().unwrap().to_owned());
        }
        assert_eq!(page["next"].is_null(), last);
        if let Some(next) = page["next"].as_str() {
            assert_eq!(answer.header("link"), Some(format!("<{next}>; rel=\"next\"").as_str()));
            target = next.strip_prefix("http://localhost").unwrap().to_owned();
        }
    }
    assert_eq!((names.len(), edges.len()), (1203, 1202));
    assert!(names.contains("first") && names.contains("child 1202"));
    let default = api.get(&format!("/internal/workflows/{id}")).await.ok(StatusCode::OK);
    assert_eq!(default["jobs"].as_array().unwrap().len(), 50);
    assert_eq!(default["jobs"][0]["name"], "first", "in order of enqueueing");
    let wrong = api.get(&format!("/internal/workflows/{id}?limit=0&cursor=x")).await;
    assert_eq!(wrong.problem(422, "validation_failed")["errors"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_daily_pipelines_jobs_have_names() {
    let api = TestApi::new().await;
    let last = api.enqueue("/internal/pipelines/daily?tenant_id=tenant_demo_cca&date=2026-01-20").await;
    let path = format!("/internal/workflows/{}", last["workflow_id"].as_str().unwrap());
    let workflow = api.get(&path).await.ok(StatusCode::OK);
    let names: Vec<&str> =
        workflow["jobs"].as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["tickets", "time_entries", "csat", "security_alerts", "kpis", "export"]);
}

#[tokio::test]
async fn a_workflow_that_waits_is_cancelled_at_once() {
    let api = TestApi::new().await;
    let (id, _) = fan(&api, 60, Does::Succeed).await;
    let cancel = format!("/internal/workflows/{id}/cancel");
    let cancelled = api.post(&cancel).await.ok(StatusCode::OK);
    assert_eq!((&cancelled["is_final"], &cancelled["counts"]["cancelled"]), (&json!(true), &json!(60)));
    assert_eq!(cancelled["status_url"], format!("http://localhost/internal/workflows/{id}"));
    // The rest of its jobs is where the workflow is, not at the cancel.
    let next = cancelled["next"].as_str().unwrap().strip_prefix("http://localhost").unwrap();
    let rest = api.get(next).await.ok(StatusCode::OK);
    assert_eq!(rest["jobs"].as_array().unwrap().len(), 10);
    assert_eq!(
        api.post(&cancel).await.ok(StatusCode::OK)["counts"],
        cancelled["counts"],
        "again changes nothing"
    );
    let outside = api.get("/internal/jobs?state=available").await.items();
    assert_eq!(outside[0]["args"]["label"], "outside", "what waits elsewhere goes by its edge");
    let unknown = format!("/internal/workflows/{}/cancel", Uuid::now_v7());
    api.post(&unknown).await.problem(404, "unknown_workflow");
}

#[tokio::test]
async fn a_workflow_that_runs_is_told_to_stop() {
    let api = TestApi::new().await;
    let probe = Probe::new(api.db().pool.clone());
    let worker = TestWorker::start(api.db(), &probe);
    let (id, first) = fan(&api, 3, Does::Gate).await;
    api.db().until(first, JobState::Running).await;
    let answer = api.post(&format!("/internal/workflows/{id}/cancel")).await.ok(StatusCode::ACCEPTED);
    assert_eq!((&answer["counts"]["cancelled"], &answer["is_final"]), (&json!(2), &json!(false)));
    api.db().until(first, JobState::Cancelled).await;
    worker.stop().await;
}

const DAILY: &str = "/internal/pipelines/daily?tenant_id=tenant_demo_cca&date=2026-01-20";

/// A job of this kind, of those that may start, fails for good, as its worker says it.
pub(super) async fn discard(api: &TestApi, kind: &str) -> Uuid {
    let db = api.db();
    let worker = db.register_worker().await;
    let queue: String = sqlx::query_scalar("select queue from queue.jobs where kind = $1 limit 1")
        .bind(kind)
        .fetch_one(&db.pool)
        .await
        .unwrap();
    let mut failed = None;
    let mut conn = db.pool.acquire().await.unwrap();
    for claimed in claim(&mut conn, worker, &queue, 100).await.unwrap() {
        let outcome = if claimed.kind == kind && failed.is_none() {
            failed = Some(claimed.run.job);
            Outcome::Discarded { code: "hopeless".to_owned(), message: "no attempt can succeed".to_owned() }
        } else {
            Outcome::HandedBack
        };
        finish(&mut conn, vec![Finish::of(&claimed.run, outcome)]).await.unwrap();
    }
    failed.expect("one may start")
}

#[tokio::test]
async fn a_workflow_has_a_name_a_day_and_a_state_and_is_found_by_them() {
    let api = TestApi::new().await;
    let last = api.enqueue(DAILY).await;
    api.enqueue("/internal/pipelines/daily?tenant_id=tenant_demo_client2&date=2026-01-20").await;
    api.enqueue("/internal/pipelines/daily?tenant_id=tenant_demo_client2&date=2026-01-21").await;
    let (unnamed, _) = fan(&api, 3, Does::Succeed).await;
    let id = last["workflow_id"].clone();
    let shown = api.get(&format!("/internal/workflows/{}", id.as_str().unwrap())).await.ok(StatusCode::OK);
    for (name, value) in [
        ("name", json!("daily_pipeline")),
        ("title", json!("daily pipeline, tenant_demo_cca, 2026-01-20")),
        ("tenant", json!("tenant_demo_cca")),
        ("date", json!("2026-01-20")),
        ("state", json!("waiting")),
        ("final", json!(false)),
    ] {
        assert_eq!(shown[name], value, "{name}");
    }
    let found = async |filter: &str| api.get(&format!("/internal/workflows?{filter}")).await.column("title");
    let title = |tenant: &str, day: &str| format!("daily pipeline, {tenant}, {day}");
    let (cca, client2) = ("tenant_demo_cca", "tenant_demo_client2");
    let all = [
        "workflow, tenant_demo_cca".to_owned(),
        title(client2, "2026-01-21"),
        title(client2, "2026-01-20"),
        title(cca, "2026-01-20"),
    ];
    assert_eq!(found("").await, all, "newest first");
    assert_eq!(found("date=2026-01-20").await, all[2..]);
    assert_eq!(found("tenant_id=tenant_demo_client2").await, all[1..3]);
    assert_eq!(found("tenant_id=tenant_demo_client2&date=2026-01-20&state=waiting").await, all[2..3]);
    assert_eq!(found("name=daily_pipeline&tenant_id=tenant_demo_cca").await, all[3..]);
    assert_eq!(
        found("name=pipeline&date=&state=").await,
        all[1..],
        "by its older name; blanks are not given"
    );
    assert_eq!(found("state=completed").await, [""; 0]);
    api.get("/internal/workflows?tenant_id=nobody").await.problem(404, "unknown_tenant");
    assert_eq!(api.get("/internal/workflows?date=x&state=over&kind=y").await.wrong_fields().len(), 3);
    // Page by page, each once.
    let (mut target, mut titles) = ("/internal/workflows?limit=1".to_owned(), Vec::new());
    loop {
        let page = api.get(&target).await.ok(StatusCode::OK);
        titles.extend(
            page["items"].as_array().unwrap().iter().map(|it| it["title"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        target = next.strip_prefix("http://localhost").unwrap().to_owned();
    }
    assert_eq!(titles, all);
    let one = api.get("/internal/workflows?limit=1").await.ok(StatusCode::OK)["items"][0].clone();
    assert_eq!((&one["id"], &one["total"], &one["exact"]), (&json!(unnamed), &json!(3), &json!(true)));
    assert_eq!((&one["counts"]["available"], &one["counts"]["waiting"]), (&json!(1), &json!(2)));
    assert!(one["name"].is_null() && one["date"].is_null());
}

#[tokio::test]
async fn the_state_of_a_workflow_follows_from_its_jobs() {
    let api = TestApi::new().await;
    let last = api.enqueue(DAILY).await;
    let path = format!("/internal/workflows/{}", last["workflow_id"].as_str().unwrap());
    let states = async |expected: &str| {
        let one = api.get(&path).await.ok(StatusCode::OK)["state"].clone();
        let listed = api.get(&format!("/internal/workflows?state={expected}")).await.items();
        assert_eq!((one, listed.len()), (json!(expected), 1), "{expected}");
    };
    states("waiting").await;
    api.execute("update queue.jobs set state = 'completed', finalized_at = queue.now() where name = 'csat'")
        .await;
    states("running").await;
    api.execute("update queue.jobs set state = 'completed', finalized_at = queue.now()").await;
    states("completed").await;
    api.execute("update queue.jobs set state = 'cancelled' where name = 'export'").await;
    states("cancelled").await;
    api.execute("update queue.jobs set state = 'discarded' where name = 'kpis'").await;
    states("failed").await;
}

#[tokio::test]
async fn what_has_failed_of_a_workflow_is_retried_and_a_repeat_is_the_same_act() {
    let api = TestApi::new().await;
    let last = api.enqueue(DAILY).await;
    let path = format!("/internal/workflows/{}", last["workflow_id"].as_str().unwrap());
    let retry = format!("{path}/retry-failed");
    let refused = api.post(&retry).await.problem(409, "nothing_failed");
    assert!(refused["detail"].as_str().unwrap().contains("has failed"), "{refused}");
    let csat = discard(&api, "ingest_csat").await;
    let stopped = api.get(&path).await.ok(StatusCode::OK);
    assert_eq!((&stopped["counts"]["discarded"], &stopped["counts"]["cancelled"]), (&json!(1), &json!(2)));
    let keyed = async || api.service("POST", &retry).header("idempotency-key", "k").send().await;
    let done = keyed().await.ok(StatusCode::ACCEPTED);
    assert_eq!(
        (&done["retried"], &done["refused"], &done["replayed"]),
        (&json!(1), &json!(0), &json!(false))
    );
    assert_eq!((&done["counts"]["available"], &done["counts"]["waiting"]), (&json!(4), &json!(2)));
    let repeat = keyed().await;
    assert_eq!(repeat.header("idempotency-replayed"), Some("true"));
    assert_eq!(repeat.ok(StatusCode::ACCEPTED)["replayed"], true);
    // A repeat without a key, whose first answer was lost.
    let repeated = api.post(&retry).await.ok(StatusCode::ACCEPTED);
    assert_eq!((&repeated["replayed"], &repeated["retried"]), (&json!(true), &json!(0)));
    assert_eq!(api.db().job(csat).await.state(), JobState::Available);
    // It fails anew: the key is used up, a request of its own is not.
    discard(&api, "ingest_csat").await;
    assert_eq!(keyed().await.ok(StatusCode::ACCEPTED)["replayed"], true);
    assert_eq!(api.post(&retry).await.ok(StatusCode::ACCEPTED)["retried"], 1);
    let acts: i64 =
        sqlx::query_scalar("select count(*) from identity.audit where action = 'workflow.retry_failed'")
            .fetch_one(&api.db().pool)
            .await
            .unwrap();
    assert_eq!(acts, 2);
    api.post(&format!("/internal/workflows/{}/retry-failed", Uuid::now_v7()))
        .await
        .problem(404, "unknown_workflow");
}

#[tokio::test]
async fn a_job_whose_twin_is_on_its_way_is_not_retried_and_does_not_hold_up_the_others() {
    let api = TestApi::new().await;
    let job = |label: &str| NewJob::of(api.cca.id, &Step::new(label, Does::Succeed)).unwrap();
    let mut workflow = Workflow::named("pair");
    let id = workflow.id();
    workflow.add("a", job("a"));
    workflow.add("b", job("b"));
    workflow.enqueue(&mut api.db().pool.acquire().await.unwrap()).await.unwrap();
    api.execute("update queue.jobs set state = 'discarded', finalized_at = queue.now()").await;
    api.db().enqueue_new(job("a")).await;
    let done = api.post(&format!("/internal/workflows/{id}/retry-failed")).await.ok(StatusCode::ACCEPTED);
    assert_eq!((&done["retried"], &done["refused"]), (&json!(1), &json!(1)));
    assert_eq!((&done["counts"]["available"], &done["counts"]["discarded"]), (&json!(1), &json!(1)));
    assert_eq!(done["title"], "pair, tenant_demo_cca");
}

#[tokio::test]
async fn with_many_failed_jobs_a_job_retries_them_bit_by_bit() {
    let api = TestApi::new().await;
    let worker = api.start_worker();
    let (id, _) = fan(&api, 301, Does::Succeed).await;
    api.execute(
        "update queue.jobs set state = 'discarded', finalized_at = queue.now(), pending_parents = 0 where workflow_id is not null",
    )
    .await;
    api.execute("delete from queue.job_dependencies").await;
    let retry = format!("/internal/workflows/{id}/retry-failed");
    let begun = api.post(&retry).await.ok(StatusCode::ACCEPTED);
    assert_eq!((&begun["retried"], &begun["counts"]["discarded"]), (&json!(0), &json!(301)));
    let bulk = weirgate_test_support::id(&begun["bulk_job_id"]);
    let done = api.db().until(bulk, JobState::Completed).await;
    assert_eq!(done.output.unwrap()["touched"], 301);
    let now = api.get(&format!("/internal/workflows/{id}")).await.ok(StatusCode::OK);
    assert_eq!(now["counts"]["available"], 301);
    assert_eq!(api.post(&retry).await.ok(StatusCode::ACCEPTED)["replayed"], true);
    worker.stop().await;
}

#[tokio::test]
async fn a_cancelled_job_says_through_what_and_by_whom() {
    let api = TestApi::new().await;
    let why = async |job: Uuid| {
        let why = api.get(&format!("/internal/jobs/{job}")).await.ok(StatusCode::OK)["why_cancelled"].clone();
        (
            why["code"].as_str().unwrap().to_owned(),
            why["message"].as_str().unwrap().to_owned(),
            why["job_id"].clone(),
        )
    };
    let step = async |label: &str| api.db().enqueue(api.cca.id, &Step::new(label, Does::Succeed)).await.id;
    let token = &hex::encode(Sha256::digest("the-service-token-of-the-tests"))[..8];
    let service = &format!(" by a program with the service token {token}");
    let alone = step("alone").await;
    assert!(api.get(&format!("/internal/jobs/{alone}")).await.ok(StatusCode::OK)["why_cancelled"].is_null());
    api.post(&format!("/internal/jobs/{alone}/cancel")).await.ok(StatusCode::OK);
    assert_eq!(why(alone).await, ("cancelled".to_owned(), format!("it was cancelled{service}"), json!(null)));

    // A cancel that comes later, and changes nothing, is not who did it.
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    person.post(&format!("/dashboard/jobs/{alone}/cancel"), &[]).await;
    assert_eq!(why(alone).await.1, format!("it was cancelled{service}"));

    let (workflow, first) = fan(&api, 3, Does::Succeed).await;
    api.post(&format!("/internal/workflows/{workflow}/cancel")).await.ok(StatusCode::OK);
    let expected =
        ("workflow_cancelled".to_owned(), format!("its workflow was cancelled{service}"), json!(null));
    assert_eq!(why(first).await, expected);

    // Of a chain, the job that failed first is named.
    let last = weirgate_test_support::id(&api.enqueue(DAILY).await["id"]);
    let csat = discard(&api, "ingest_csat").await;
    let says = format!("ingest_csat {csat} (csat), which it depended on, was discarded: hopeless");
    assert_eq!(why(last).await, ("job_failed".to_owned(), says, json!(csat)));
    let own = api.v1(&format!("/v1/jobs/{last}")).await.ok(StatusCode::OK);
    assert_eq!(own["why_cancelled"]["job_id"], json!(csat), "a tenant is told as well");
    // Alive again, nothing of that is left.
    api.post(&format!("/internal/jobs/{csat}/retry")).await.ok(StatusCode::OK);
    assert!(api.get(&format!("/internal/jobs/{last}")).await.ok(StatusCode::OK)["why_cancelled"].is_null());
    api.post(&format!("/internal/jobs/{last}/cancel")).await.ok(StatusCode::OK);
    assert_eq!(why(last).await.0, "cancelled", "the error of its earlier life is not its end");
    let own = api.v1(&format!("/v1/jobs/{last}")).await.ok(StatusCode::OK);
    assert_eq!(own["why_cancelled"]["message"], "it was cancelled", "who did it is for operators");

    let worker = api.start_worker();
    let doomed = step("doomed").await;
    let body = json!({"action": "cancel", "filter": {"id": [doomed]}});
    let bulk = api.service("POST", "/internal/jobs/bulk").json(body.to_string()).send().await;
    let bulk = weirgate_test_support::id(&bulk.ok(StatusCode::ACCEPTED)["id"]);
    api.db().until(bulk, JobState::Completed).await;
    let (code, message, job) = why(doomed).await;
    assert_eq!((code.as_str(), job), ("bulk_cancelled", json!(bulk)));
    assert!(message.contains(&bulk.to_string()), "{message}");
    worker.stop().await;

    let range = json!({"kind": "compute_kpi", "tenants": ["tenant_demo_cca"], "from": "2026-01-19", "to": "2026-01-20", "reprocess": "all"});
    let made = api.service("POST", "/internal/backfills").json(range.to_string()).send().await;
    let backfill = made.ok(StatusCode::ACCEPTED)["id"].as_str().unwrap().to_owned();
    Expander::new(vec![Arc::new(DailySlices)]).run_once(&api.db().pool).await.unwrap();
    api.post(&format!("/internal/backfills/{backfill}/cancel")).await;
    let of_backfill = api.get(&format!("/internal/jobs?backfill_id={backfill}")).await.items();
    assert_eq!(of_backfill.len(), 2);
    let expected =
        ("backfill_cancelled".to_owned(), format!("its backfill was cancelled{service}"), json!(null));
    assert_eq!(why(weirgate_test_support::id(&of_backfill[0]["id"])).await, expected);
}

/// A version from before says less.
#[tokio::test]
async fn a_job_that_was_cancelled_by_a_version_from_before_says_what_is_known() {
    let api = TestApi::new().await;
    let last = weirgate_test_support::id(&api.enqueue(DAILY).await["id"]);
    let csat = discard(&api, "ingest_csat").await;
    api.execute("update queue.jobs set cancelled_by = null").await;
    let why =
        async || api.get(&format!("/internal/jobs/{last}")).await.ok(StatusCode::OK)["why_cancelled"].clone();
    assert_eq!((&why().await["code"], &why().await["job_id"]), (&json!("job_failed"), &json!(csat)));
    sqlx::query("delete from queue.jobs where id = $1").bind(csat).execute(&api.db().pool).await.unwrap();
    sqlx::query("delete from queue.job_dependencies where child_id = $1")
        .bind(last)
        .execute(&api.db().pool)
        .await
        .unwrap();
    let why = why().await;
    assert_eq!(why["code"], "job_failed");
    assert!(why["message"].as_str().unwrap().contains("compute_kpi"), "{why}");
}
