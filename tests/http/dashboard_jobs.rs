//! The dashboard's list of jobs, its failures, and its charts.

use axum::http::StatusCode;
use serde_json::json;
use uuid::Uuid;
use weirgate_identity::platform::Role;
use weirgate_queue::{JobState, NewJob, OnFailure, enqueue};
use weirgate_test_support::{Does, Probe, Step, TestWorker};

use crate::support::TestApi;
use crate::support::person::Person;

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
    assert!(none.text().contains("No jobs are selected"), "{}", none.text());
    let id = one.to_string();
    let fields = [("selected", "true"), ("action", "cancel"), ("id", id.as_str())];
    let asked = person.post("/dashboard/jobs/bulk", &fields).await;
    assert!(asked.text().contains("<h1>Cancel 1 job</h1>"), "{}", asked.text());
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
    assert_eq!(rows.text().matches("<tr id=").count(), 1);
    assert!(rows.text().contains(&format!("job-{one}")) && !rows.text().contains(&other.to_string()));
    assert!(list.text().contains(&rows.text()[..40]), "the same row");
}

#[tokio::test]
async fn failures_are_shown_together_and_acted_on_together() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let page = person.get("/dashboard/failures").await;
    assert!(page.text().contains("No failed jobs"), "{}", page.text());
    let ids = discarded(&api, &["one", "two"]).await;
    let page = person.get("/dashboard/failures").await;
    let text = page.text();
    assert_eq!(text.matches("<tr>").count(), 2, "a head and one failure: {text}");
    assert!(text.contains("2 in the last 48 hours, 2 in the last hour"), "{text}");
    let (_, rest) = text.split_once("name=\"failure_id\" value=\"").unwrap();
    let failure = rest.split('"').next().unwrap();
    let list = person.get(&format!("/dashboard/jobs?failure_id={failure}&state=discarded")).await;
    assert!(ids.iter().all(|id| list.text().contains(&id.to_string())), "{}", list.text());
    assert!(list.text().contains("<p>Failure <code>"), "{}", list.text());
    let asked = person.post("/dashboard/jobs/bulk", &[("failure_id", failure), ("action", "retry")]).await;
    for told in ["<h1>Retry 2 jobs: step, hopeless</h1>", "<li>failure: hopeless, ", ">Retry 2 jobs</button>"]
    {
        assert!(asked.text().contains(told), "{told}: {}", asked.text());
    }
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
        assert_eq!(text.matches("discarded: 3").count(), 2, "in two charts, {over}: {text}");
        assert_eq!(text.matches("<tr>").count(), 3 * (stretches + 1), "with all numbers: {over}");
        assert!(!text.contains("<html"), "a part of a page");
    }
    let wrong = person.get("/dashboard?over=year").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text().contains("expected hour, day or week"), "{}", wrong.text());
}

/// The tabs with what stands on them, and which of them are current.
fn tabs(page: &str) -> (Vec<String>, Vec<String>) {
    let (_, rest) = page.split_once("aria-label=\"States\"").expect("tabs");
    let (mut all, mut current) = (Vec::new(), Vec::new());
    for link in rest.split("</nav>").next().unwrap().split("<a ").skip(1) {
        let (tag, text) = link.split_once('>').unwrap();
        let (name, count) = text.split_once(" <span").unwrap();
        let count = count.split_once('>').unwrap().1.split('<').next().unwrap();
        if tag.contains("aria-current") {
            current.push(name.to_owned());
        }
        if count != "0" {
            all.push(format!("{name} {count}"));
        }
    }
    (all, current)
}

#[tokio::test]
async fn states_are_tabs_with_how_many_there_are() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let before = discarded(&api, &["one", "two"]).await;
    for label in ["three", "four", "five"] {
        job(&api, label, Does::Succeed).await;
    }
    api.execute(
        "insert into queue.jobs (id, tenant_id, queue, kind, state, max_attempts, args, created_at, scheduled_at)
         select gen_random_uuid(), (select id from identity.tenants where slug = 'tenant_demo_client2'), 'kpi', 'compute_kpi',
             'completed', 3, '{}', queue.now(), queue.now() from generate_series(1, 1234)",
    )
    .await;
    for (query, all, current) in [
        ("", &["all 1,239", "available 3", "completed 1,234", "discarded 2"][..], &["all"][..]),
        ("?state=discarded", &["all 1,239", "available 3", "completed 1,234", "discarded 2"], &["discarded"]),
        ("?tenant_id=tenant_demo_client2", &["all 1,234", "completed 1,234"], &["all"]),
        (
            "?queue=default&state=available&state=discarded",
            &["all 5", "available 3", "discarded 2"],
            &["available", "discarded"],
        ),
        ("?queue=kpi&tenant_id=tenant_demo_cca", &[], &["all"]),
        // What no view counts is counted to 1,000.
        ("?kind=compute_kpi", &["all 1,000+", "completed 1,000+"], &["all"]),
        ("?kind=step&q=three", &["all 1", "available 1"], &["all"]),
    ] {
        let page = person.get(&format!("/dashboard/jobs{query}")).await;
        assert_eq!(page.status, StatusCode::OK, "{query}: {}", page.text());
        let (shown, chosen) = tabs(page.text());
        assert_eq!(
            (shown.as_slice(), chosen.as_slice()),
            (
                &all.iter().map(ToString::to_string).collect::<Vec<_>>()[..],
                &current.iter().map(ToString::to_string).collect::<Vec<_>>()[..]
            ),
            "{query}"
        );
    }
    // A tab leaves the rest of the filter as it is, and its link leads to the jobs that it counts.
    let page = person.get("/dashboard/jobs?kind=step&state=available&args.label=two").await;
    assert!(
        page.text().contains("href=\"/dashboard/jobs?kind=step&#38;args.label=two&#38;state=discarded\""),
        "{}",
        page.text()
    );
    let page = person.get("/dashboard/jobs?kind=step&args.label=two&state=discarded").await;
    assert!(page.text().contains(&before[1].to_string()) && !page.text().contains(&before[0].to_string()));
    assert!(page.text().contains("All 1 matching jobs"), "{}", page.text());
    // The tabs alone are those of the page.
    let page = person.get("/dashboard/jobs?queue=default").await;
    assert!(page.text().contains("data-refresh=\"/dashboard/jobs/tabs?queue=default\""), "{}", page.text());
    let alone = person.get("/dashboard/jobs/tabs?queue=default").await;
    assert!(
        page.text().contains(alone.text().trim()) && alone.text().contains("discarded"),
        "{}",
        alone.text()
    );
    let wrong = person.get("/dashboard/jobs/tabs?tenant_id=nobody").await;
    assert_eq!(wrong.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn all_on_a_page_are_selected_by_a_link() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    for label in ["one", "two", "three"] {
        job(&api, label, Does::Succeed).await;
    }
    let page = person.get("/dashboard/jobs?kind=step").await;
    let ticked = |text: &str| {
        text.split("<input").filter(|tag| tag.contains("name=\"id\"") && tag.contains(" checked")).count()
    };
    assert_eq!(ticked(page.text()), 0);
    assert!(page.text().contains("href=\"/dashboard/jobs?kind=step&#38;select=page\""), "{}", page.text());
    let page = person.get("/dashboard/jobs?kind=step&select=page").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    assert_eq!(ticked(page.text()), 3);
    // It is no part of the filter.
    assert!(
        !page.text().contains("name=\"select\"")
            && page.text().contains("data-rows=\"/dashboard/jobs/rows?kind=step\"")
    );
    let viewer = Person::new(&api, "eve@example.com", Role::Viewer).await;
    assert!(!viewer.get("/dashboard/jobs").await.text().contains("Select all"));
}

#[tokio::test]
async fn a_cancelled_job_says_why_in_the_list() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let remark = async |id: Uuid| {
        let list = person.get("/dashboard/jobs?state=cancelled").await.text().to_owned();
        let (_, row) = list.split_once(&format!("id=\"job-{id}\"")).expect("its row");
        let row = row.split("</tr>").next().unwrap();
        row.rsplit("<td").next().unwrap().split_once('>').unwrap().1.split('<').next().unwrap().to_owned()
    };
    let waiting = job(&api, "waits", Does::Succeed).await;
    person.post(&format!("/dashboard/jobs/{waiting}/cancel"), &[]).await;
    assert_eq!(remark(waiting).await, "it was cancelled by ada@example.com");

    let failed = job(&api, "fails", Does::Fail).await;
    let probe = Probe::new(api.db().pool.clone());
    let worker = TestWorker::start(api.db(), &probe);
    api.db().until(failed, JobState::Retryable).await;
    person.post(&format!("/dashboard/jobs/{failed}/cancel"), &[]).await;
    assert_eq!(remark(failed).await, "it was cancelled by ada@example.com");

    let parent = NewJob::of(api.cca.id, &Step::new("parent", Does::Discard)).unwrap();
    let child = NewJob::of(api.cca.id, &Step::new("child", Does::Succeed)).unwrap();
    let child = child.after(parent.id, OnFailure::Cancel);
    let child_id = child.id;
    enqueue(&mut api.db().pool.acquire().await.unwrap(), vec![parent, child]).await.unwrap();
    api.db().until(child_id, JobState::Cancelled).await;
    assert!(remark(child_id).await.starts_with("step, which it depended on, was discarded"));
    worker.stop().await;
}
