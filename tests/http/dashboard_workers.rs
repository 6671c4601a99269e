//! The dashboard's workers: what each runs, and that one is told to drain.

use axum::http::StatusCode;
use uuid::Uuid;
use weirgate_identity::platform::Role;
use weirgate_queue::NewJob;
use weirgate_queue::worker::claim;
use weirgate_test_support::{Does, Step};

use crate::support::TestApi;
use crate::support::person::{Person, audited};

async fn jobs(api: &TestApi, jobs: usize) {
    for _ in 0..jobs {
        let job = NewJob::of(api.cca.id, &Step::new("a", Does::Succeed)).unwrap().not_unique();
        api.db().enqueue_new(job).await;
    }
}

#[tokio::test]
async fn a_worker_is_shown_with_what_it_runs() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    assert!(person.get("/dashboard/workers").await.text().contains("There is no live worker"));
    let (worker, other) = (api.db().register_worker().await, api.db().register_worker().await);
    jobs(&api, 5).await;
    let mut conn = api.db().pool.acquire().await.unwrap();
    let claimed = claim(&mut conn, worker, "default", 3).await.unwrap();
    let list = person.get("/dashboard/workers").await;
    assert!(list.text().contains(&format!("/dashboard/workers/{worker}\">3</a>")), "{}", list.text());
    assert!(list.text().contains(&format!("/dashboard/workers/{other}\">0</a>")), "{}", list.text());
    let page = person.get(&format!("/dashboard/workers/{worker}")).await;
    for job in &claimed {
        assert!(page.text().contains(&format!("/dashboard/jobs/{}\"", job.run.job)), "{}", page.text());
    }
    assert_eq!(page.text().matches("/dashboard/jobs/").count(), 3);
    assert!(!page.text().contains("/drain"), "a viewer only looks");
    let nobody = person.get(&format!("/dashboard/workers/{}", Uuid::now_v7())).await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_worker_that_is_told_to_drain_is_given_nothing_more() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let worker = api.db().register_worker().await;
    jobs(&api, 2).await;
    let mut conn = api.db().pool.acquire().await.unwrap();
    assert_eq!(claim(&mut conn, worker, "default", 1).await.unwrap().len(), 1);
    let path = format!("/dashboard/workers/{worker}/drain");
    let viewer = Person::new(&api, "eve@example.com", Role::Viewer).await;
    assert_eq!(viewer.post(&path, &[("confirmed", "true")]).await.status, StatusCode::FORBIDDEN);
    let asked = person.post(&path, &[]).await;
    assert!(
        asked.text().contains("It claims no further jobs. It finishes 1 running job"),
        "{}",
        asked.text()
    );
    assert!(asked.text().contains("It is the last live worker of queue default"), "{}", asked.text());
    let again = claim(&mut conn, worker, "default", 0).await.unwrap();
    assert!(again.is_empty());
    person.post(&path, &[("confirmed", "true")]).await;
    assert!(claim(&mut conn, worker, "default", 1).await.unwrap().is_empty(), "it claims nothing more");
    assert!(person.get("/dashboard/workers").await.text().contains("draining"));
    let listed = api.get("/internal/workers").await.items();
    assert_eq!((&listed[0]["draining"], &listed[0]["running"]), (&true.into(), &1.into()));
    // Who waits is told that nobody takes it.
    let waiting = api.v1("/v1/jobs?state=available").await.items();
    assert!(waiting.iter().any(|job| job["why_not_running"]["code"] == "no_live_worker"), "{waiting:?}");
    let successor = api.db().register_worker().await;
    assert_eq!(claim(&mut conn, successor, "default", 1).await.unwrap().len(), 1);
    let told: Vec<String> = audited(&api).await.into_iter().map(|(_, action, _)| action).collect();
    assert_eq!(told, ["worker.drain"]);
}

#[tokio::test]
async fn the_service_drains_too() {
    let api = TestApi::new().await;
    let worker = api.db().register_worker().await;
    let told = api.post(&format!("/internal/workers/{worker}/drain")).await.ok(StatusCode::OK);
    assert_eq!((&told["id"], &told["draining"]), (&worker.to_string().into(), &true.into()));
    api.post(&format!("/internal/workers/{worker}/drain")).await.ok(StatusCode::OK);
    api.post(&format!("/internal/workers/{}/drain", Uuid::now_v7())).await.problem(404, "unknown_worker");
}

#[tokio::test]
async fn a_drain_whose_answer_was_lost_is_no_error_once_the_worker_has_gone() {
    let api = TestApi::new().await;
    let worker = api.db().register_worker().await;
    let path = format!("/internal/workers/{worker}/drain");
    let drain = async || api.service("POST", &path).header("idempotency-key", "drain-1").send().await;
    drain().await.ok(StatusCode::OK);
    sqlx::query("delete from queue.workers where id = $1")
        .bind(worker)
        .execute(&api.db().pool)
        .await
        .unwrap();
    let again = drain().await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (StatusCode::NO_CONTENT, Some("true")));
    api.post(&path).await.problem(404, "unknown_worker");
}
