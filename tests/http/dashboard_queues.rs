//! The dashboard's queues: how they go, what they may, and what is asked before that is changed.

use axum::http::StatusCode;
use weirgate_identity::platform::Role;
use weirgate_queue::NewJob;
use weirgate_queue::worker::claim;
use weirgate_test_support::{Does, Step};

use crate::support::TestApi;
use crate::support::person::{Person, audited};

const QUEUE: &str = "/dashboard/queues/default";

/// Seven jobs of two tenants; five run.
async fn scene() -> TestApi {
    let api = TestApi::new().await;
    let worker = api.db().register_worker().await;
    for (tenant, jobs) in [(api.cca.id, 3), (api.client2.id, 4)] {
        for _ in 0..jobs {
            let job = NewJob::of(tenant, &Step::new("a", Does::Succeed)).unwrap().not_unique();
            api.db().enqueue_new(job).await;
        }
    }
    claim(&mut api.db().pool.acquire().await.unwrap(), worker, "default", 5).await.unwrap();
    api
}

#[tokio::test]
async fn a_queue_tells_how_it_goes_without_counting_jobs() {
    let api = scene().await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    let list = person.get("/dashboard/queues").await;
    for queue in ["default", "export", "ingest", "kpi", "system"] {
        assert!(list.text().contains(&format!("/dashboard/queues/{queue}\"")), "{queue}: {}", list.text());
    }
    let page = person.get(QUEUE).await;
    for told in [
        "2 (1 tenant)",
        "5 in 0 slots",
        "state=available\">available</a></th><td class=\"number\">2</td>",
        "state=running\">running</a></th><td class=\"number\">5</td>",
        "tenant_demo_client2/lanes/default",
    ] {
        assert!(page.text().contains(told), "{told}: {}", page.text());
    }
    assert!(!page.text().contains("/pause"), "a viewer only looks");
    assert_eq!(person.get("/dashboard/queues/nothing").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_pause_is_told_before_it_is_done() {
    let api = scene().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let asked = person.post(&format!("{QUEUE}/pause"), &[]).await;
    let told = "2 available jobs stay in the queue (1 tenant); 5 running jobs continue. No new job of any tenant starts in queue default until it is resumed.";
    assert!(asked.text().contains(told), "{}", asked.text());
    assert_eq!(audited(&api).await, []);
    let done = person.post(&format!("{QUEUE}/pause"), &[("confirmed", "true")]).await;
    assert_eq!(done.header("location"), Some(QUEUE));
    assert!(person.get(QUEUE).await.text().contains("Resume…"));
    let asked = person.post(&format!("{QUEUE}/resume"), &[]).await;
    assert!(asked.text().contains("2 available jobs of 1 tenant may start at once"), "{}", asked.text());
    let unknown = person.post("/dashboard/queues/nothing/pause", &[("confirmed", "true")]).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(audited(&api).await.len(), 1);
}

#[tokio::test]
async fn an_admin_limits_all_tenants_together_and_each_of_them() {
    let api = scene().await;
    let operator = Person::new(&api, "eve@example.com", Role::Operator).await;
    let path = format!("{QUEUE}/limits");
    let refused = operator.post(&path, &[("of", "all"), ("max_running", "1"), ("confirmed", "true")]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let person = Person::new(&api, "ada@example.com", Role::Admin).await;
    let all = [("of", "all"), ("max_running", "4")];
    let asked = person.post(&path, &all).await;
    for told in [
        "<p>Current limits: no limit.</p>",
        "<p>New limits, from the next claim on, on all hosts: max running 4.</p>",
        "5 jobs are running and continue; no new job starts until fewer than 4 are running.",
    ] {
        assert!(asked.text().contains(told), "{told}: {}", asked.text());
    }
    person.post(&path, &[&all[..], &[("confirmed", "true")]].concat()).await;
    let each = [("of", "each"), ("rate", "7"), ("weight", "2"), ("confirmed", "true")];
    person.post(&path, &each).await;
    let limits = api.get("/internal/queues/default").await.ok(StatusCode::OK)["limits"].clone();
    assert_eq!(
        (&limits["queue"]["max_running"], &limits["queue"]["rate"]),
        (&4.into(), &serde_json::Value::Null)
    );
    assert_eq!((&limits["lanes"]["rate"], &limits["lanes"]["weight"]), (&7.into(), &2.0.into()));
    let shown = person.get(QUEUE).await;
    assert!(shown.text().contains("7 starts per second, burst 1; weight 2"), "{}", shown.text());
    for wrong in [&[("of", "some")][..], &[], &[("of", "all"), ("rate", "-1")]] {
        assert_eq!(person.post(&path, wrong).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong:?}");
    }
    assert_eq!(audited(&api).await.len(), 2);
}
