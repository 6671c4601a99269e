//! The dashboard's list of jobs, its failures, and its charts.

use axum::http::StatusCode;
use serde_json::json;
use uuid::Uuid;
use weirgate::users::Role;
use weirgate_queue::{JobState, NewJob};

use crate::support::person::Person;
use crate::support::{Does, Probe, Step, TestApi, TestWorker};

async fn job(api: &TestApi, label: &str, does: Does) -> Uuid {
    api.db().enqueue_new(NewJob::of(api.cca.id, &Step::new(label, does)).unwrap()).await.id
}

async fn discarded(api: &TestApi, labels: &[&str]) -> Vec<Uuid> {
    let probe = Probe::new(api.db().pool.clone());
    let worker = TestWorker::start(api.db(), &probe);
    let mut ids = Vec::new();
    for label in labels {
        let id = job(api, label, Does::Discard).await;
        api.db().until(id, JobState::Discarded).await;
        ids.push(id);
    }
    worker.stop().await;
    ids
}

#[tokio::test]
async fn jobs_are_filtered_by_argument() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    let (one, other) = (job(&api, "one", Does::Succeed).await, job(&api, "other", Does::Succeed).await);
    for query in ["args.label=one", "arg=label%3Done", "arg=label+%3D+one&kind=step"] {
        let list = person.get(&format!("/dashboard/jobs?{query}")).await;
        assert_eq!(list.status, StatusCode::OK, "{}", list.text());
        let text = list.text();
        assert!(text.contains(&one.to_string()) && !text.contains(&other.to_string()), "{query}");
        assert!(text.contains(r#"value="label=one""#), "the form shows it");
    }
    let wrong = person.get("/dashboard/jobs?args.=one").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text().contains("args.: expected a name after the dot"), "{}", wrong.text());
    let items = api.get("/internal/jobs?args.label=other").await.items();
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["id"], other.to_string());
    let items = api.get(&format!("/internal/jobs?id={one}&id={other}")).await.items();
    assert_eq!(items.len(), 2);
    let body = json!({"action": "cancel", "dry_run": true, "filter": {"args": {"label": "one"}}});
    let answer = api.service("POST", "/internal/jobs/bulk").json(body.to_string()).send().await;
    assert_eq!(answer.ok(StatusCode::OK)["count"], 1);
    let body = json!({"action": "cancel", "filter": {"args": {"label": 1}, "id": 5, "failure_id": "x"}});
    let answer = api.service("POST", "/internal/jobs/bulk").json(body.to_string()).send().await;
    answer.problem(422, "validation_failed");
    assert_eq!(answer.wrong_fields(), ["filter.args.label", "filter.id", "filter.failure_id"]);
}

#[tokio::test]
async fn some_are_selected() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let (one, other) = (job(&api, "one", Does::Succeed).await, job(&api, "other", Does::Succeed).await);
    let none = person.post("/dashboard/jobs/bulk", &[("selected", "true"), ("action", "cancel")]).await;
    assert_eq!(none.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(none.text().contains("No job is selected"), "{}", none.text());
    let id = one.to_string();
    let fields = [("selected", "true"), ("action", "cancel"), ("id", id.as_str())];
    let asked = person.post("/dashboard/jobs/bulk", &fields).await;
    assert!(asked.text().contains("<strong>1</strong> job,"), "{}", asked.text());
    let done = person.post("/dashboard/jobs/bulk", &[&fields[..], &[("confirmed", "true")]].concat()).await;
    let bulk: Uuid = done.header("location").unwrap().rsplit('/').next().unwrap().parse().unwrap();
    let worker = api.start_worker();
    api.db().until(bulk, JobState::Completed).await;
    worker.stop().await;
    assert_eq!(api.db().job(one).await.state(), JobState::Cancelled);
    assert_ne!(api.db().job(other).await.state(), JobState::Cancelled);
    let viewer = Person::new(&api, "eve@example.com", Role::Viewer).await;
    assert!(!viewer.get("/dashboard/jobs").await.text().contains("checkbox\" form"));
}

#[tokio::test]
async fn rows_alone_are_those_of_the_list() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let (one, other) = (job(&api, "one", Does::Succeed).await, job(&api, "other", Does::Succeed).await);
    let list = person.get("/dashboard/jobs?q=one").await;
    assert!(list.text().contains(r#"data-rows="/dashboard/jobs/rows?q=one""#), "{}", list.text());
    let rows = person.get("/dashboard/jobs/rows?q=one").await;
    assert_eq!(rows.text().matches("<tr").count(), 1);
    assert!(rows.text().contains(&format!("job-{one}")) && !rows.text().contains(&other.to_string()));
    assert!(list.text().contains(&rows.text()[..40]), "the same row");
}

#[tokio::test]
async fn failures_are_shown_together_and_acted_on_together() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let page = person.get("/dashboard/failures").await;
    assert!(page.text().contains("No job has failed"), "{}", page.text());
    let ids = discarded(&api, &["one", "two"]).await;
    let page = person.get("/dashboard/failures").await;
    let text = page.text();
    assert_eq!(text.matches("<tr>").count(), 2, "a head and one failure: {text}");
    assert!(text.contains("2 in the last 48 hours, 2 of them in the last one"), "{text}");
    let (_, rest) = text.split_once("name=\"failure_id\" value=\"").unwrap();
    let failure = rest.split('"').next().unwrap();
    let list = person.get(&format!("/dashboard/jobs?failure_id={failure}&state=discarded")).await;
    assert!(ids.iter().all(|id| list.text().contains(&id.to_string())), "{}", list.text());
    assert!(list.text().contains("Of the failure"), "{}", list.text());
    let asked = person.post("/dashboard/jobs/bulk", &[("failure_id", failure), ("action", "retry")]).await;
    assert!(asked.text().contains("<strong>2</strong> jobs"), "{}", asked.text());
    let wrong = person.get("/dashboard/failures?before=yesterday").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn charts_tell_what_ran() {
    let api = TestApi::new().await;
    discarded(&api, &["one", "two", "three"]).await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    for (over, stretches) in [("hour", 60), ("day", 96), ("week", 168)] {
        let page = person.get(&format!("/dashboard/charts?over={over}")).await;
        let text = page.text();
        assert_eq!(text.matches("<figure").count(), 3, "{over}");
        assert_eq!(text.matches("failed for good: 3").count(), 2, "in two charts, {over}: {text}");
        assert_eq!(text.matches("<tr>").count(), 3 * (stretches + 1), "with all numbers: {over}");
        assert!(!text.contains("<html"), "a part of a page");
    }
    let wrong = person.get("/dashboard?over=year").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text().contains("expected hour, day or week"), "{}", wrong.text());
}
