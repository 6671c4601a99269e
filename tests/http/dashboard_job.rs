//! The dashboard's page of a job: why it does not run and what would change that, its times, and
//! what can be done.

use axum::http::StatusCode;
use uuid::Uuid;
use weirgate_identity::platform::Role;
use weirgate_queue::lanes::change::{QueueChange, change_lane, change_queue, pause_queue};
use weirgate_queue::lanes::settings::LaneSettings;
use weirgate_queue::lanes::{LaneLimits, QueueLimits, Rate};
use weirgate_queue::{JobState, NewJob, OnFailure};
use weirgate_test_support::{Does, Probe, Step, TestWorker};

use crate::support::TestApi;
use crate::support::person::{Person, audited};

async fn step(api: &TestApi, does: Does, adjust: impl FnOnce(NewJob) -> NewJob) -> Uuid {
    let job = NewJob::of(api.cca.id, &Step::new("a", does)).unwrap().not_unique();
    api.db().enqueue_new(adjust(job)).await.id
}

#[tokio::test]
async fn each_reason_leads_to_what_would_change_it() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let first = step(&api, Does::Succeed, |job| job).await;
    let leads = async |job: Uuid, to: &str| {
        let page = person.get(&format!("/dashboard/jobs/{job}")).await;
        let (_, why) =
            page.text().split_once(r#"<p class="why">"#).unwrap_or_else(|| panic!("{}", page.text()));
        let why = why.split("</p>").next().unwrap().replace("&amp;", "&").replace("&#38;", "&");
        assert!(why.contains(&format!(r#"<a href="{to}""#)), "{to}: {why}");
        why
    };
    leads(first, "/dashboard/workers").await;
    api.db().register_worker().await;
    let second = step(&api, Does::Succeed, |job| job).await;
    leads(second, "/dashboard/jobs?tenant_id=tenant_demo_cca&queue=default&state=available").await;
    let child = step(&api, Does::Succeed, |job| job.after(first, OnFailure::Cancel)).await;
    leads(child, &format!("/dashboard/jobs/{first}")).await;
    let mut conn = api.db().pool.acquire().await.unwrap();
    let slow = Rate { rate: 1, period_ms: 60_000, burst: 1 };
    let none = LaneLimits::default();
    let lane = "/dashboard/tenants/tenant_demo_cca/lanes/default";
    change_lane(&mut conn, "default", api.cca.id, LaneSettings { paused: true, limits: None }.into())
        .await
        .unwrap();
    assert!(leads(second, lane).await.contains("help.</span>"));
    change_lane(&mut conn, "default", api.cca.id, LaneSettings::default().into()).await.unwrap();
    pause_queue(&mut conn, "default", true).await.unwrap();
    leads(second, "/dashboard/queues/default").await;
    pause_queue(&mut conn, "default", false).await.unwrap();
    let worker = api.db().register_worker().await;
    change_queue(
        &mut conn,
        "default",
        QueueChange::to(QueueLimits { rate: Some(slow), max_running: None }, none),
    )
    .await
    .unwrap();
    assert_eq!(weirgate_queue::worker::claim(&mut conn, worker, "default", 5).await.unwrap().len(), 1);
    leads(second, "/dashboard/queues/default").await;
}

#[tokio::test]
async fn a_job_is_run_now_and_no_other_than_one_that_waits_for_its_time() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let viewer = Person::new(&api, "eve@example.com", Role::Viewer).await;
    let job = step(&api, Does::Succeed, |job| job.delay(std::time::Duration::from_hours(5))).await;
    let (page, act) = (format!("/dashboard/jobs/{job}"), format!("/dashboard/jobs/{job}/run_now"));
    assert!(person.get(&page).await.text().contains("Run now"));
    assert!(!viewer.get(&page).await.text().contains("Run now"));
    assert_eq!(viewer.post(&act, &[]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(person.post(&act, &[]).await.header("location"), Some(page.as_str()));
    assert_eq!(api.db().job(job).await.state(), JobState::Available);
    let again = person.post(&act, &[]).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(again.text().contains("hold it back"), "{}", again.text());
    let probe = Probe::new(api.db().pool.clone());
    let worker = TestWorker::start(api.db(), &probe);
    api.db().until(job, JobState::Completed).await;
    // One that failed need not wait for its next attempt either.
    let failed = step(&api, Does::RetryAfter { seconds: 3600 }, |job| job).await;
    api.db().until(failed, JobState::Retryable).await;
    person.post(&format!("/dashboard/jobs/{failed}/run_now"), &[]).await;
    probe.until_started(3).await;
    let again = api.db().until(failed, JobState::Retryable).await;
    assert_eq!(again.attempt, 2);
    let shown = person.get(&format!("/dashboard/jobs/{failed}")).await;
    let told = [
        "attempt 1 started after waiting ",
        "attempt 1 failed after ",
        "attempt 2 started after waiting ",
        "attempt 2 failed after ",
        ", on test (process ",
    ];
    for told in told {
        assert!(shown.text().contains(told), "{told}: {}", shown.text());
    }
    worker.stop().await;
    let shown = person.get(&page).await;
    for told in ["became available", "attempt 1 started on a former worker", "completed after running for"] {
        assert!(shown.text().contains(told), "{told}: {}", shown.text());
    }
    let actions: Vec<String> = audited(&api).await.into_iter().map(|(_, action, _)| action).collect();
    assert_eq!(actions, ["job.run_now", "job.run_now"]);
}

#[tokio::test]
async fn a_priority_is_changed_until_the_job_has_ended() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let first = step(&api, Does::Succeed, |job| job).await;
    let second = step(&api, Does::Succeed, |job| job).await;
    let path = format!("/dashboard/jobs/{second}/priority");
    for wrong in ["101", "-101", "high", "1.5"] {
        assert_eq!(person.post(&path, &[("priority", wrong)]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(person.post(&path, &[]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    person.post(&path, &[("priority", "-7")]).await;
    person.post(&path, &[("priority", "50")]).await;
    let worker = api.db().register_worker().await;
    let mut conn = api.db().pool.acquire().await.unwrap();
    let claimed = weirgate_queue::worker::claim(&mut conn, worker, "default", 1).await.unwrap();
    assert_eq!(claimed[0].run.job, second, "it overtook the other");
    person.post(&format!("/dashboard/jobs/{first}/cancel"), &[]).await;
    let ended = person.post(&format!("/dashboard/jobs/{first}/priority"), &[("priority", "1")]).await;
    assert_eq!(ended.status, StatusCode::CONFLICT);
    assert!(!person.get(&format!("/dashboard/jobs/{first}")).await.text().contains("name=\"priority\""));
    let details: Vec<serde_json::Value> =
        sqlx::query_scalar("select detail from identity.audit where action = 'job.priority' order by id")
            .fetch_all(&api.db().pool)
            .await
            .unwrap();
    assert_eq!(details[1], serde_json::json!({"before": {"priority": -7}, "after": {"priority": 50}}));
}

#[tokio::test]
async fn who_retried_it_is_told_and_no_two_attempts_have_one_number() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let probe = Probe::new(api.db().pool.clone());
    let worker = TestWorker::start(api.db(), &probe);
    let job = step(&api, Does::Fail, |job| job.max_attempts(2)).await;
    let page = format!("/dashboard/jobs/{job}");
    for attempts in [2, 4] {
        probe.until_started(attempts).await;
        api.db().until(job, JobState::Discarded).await;
        if attempts == 2 {
            assert!(person.get(&page).await.text().contains("<dd>2 of 2</dd>"));
            person.post(&format!("{page}/retry"), &[]).await;
        }
    }
    worker.stop().await;
    let shown = person.get(&page).await;
    let text = shown.text();
    for told in ["2 of 2, and 2 before it was retried", "retried by ada@example.com"] {
        assert!(text.contains(told), "{told}: {text}");
    }
    for number in 1..=4 {
        assert_eq!(
            text.matches(&format!("<strong>Attempt {number}</strong>")).count(),
            1,
            "{number}: {text}"
        );
        assert_eq!(text.matches(&format!("attempt {number} started")).count(), 1, "{number}: {text}");
    }
    assert!(!text.contains("ttempt 5"), "{text}");
    api.post(&format!("/internal/jobs/{job}/retry")).await;
    let shown = person.get(&page).await;
    assert!(shown.text().contains("retried by a program with the service token"), "{}", shown.text());
}

#[tokio::test]
async fn one_that_has_ended_is_deleted_after_a_question() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let viewer = Person::new(&api, "eve@example.com", Role::Viewer).await;
    let job = step(&api, Does::Succeed, |job| job).await;
    let page = format!("/dashboard/jobs/{job}");
    assert!(!person.get(&page).await.text().contains(">Delete<"), "not while it is to run");
    person.post(&format!("{page}/cancel"), &[]).await;
    assert!(!viewer.get(&page).await.text().contains(">Delete<"));
    let shown = person.get(&page).await;
    let (_, form) = shown.text().split_once(r#"action="/dashboard/jobs/bulk""#).expect("a form that deletes");
    let form = form.split("</form>").next().unwrap();
    let field = |name: &str, value: &str| format!(r#"name="{name}" value="{value}""#);
    let id = job.to_string();
    let fields = [("action", "delete"), ("selected", "true"), ("id", id.as_str())];
    for (name, value) in fields {
        assert!(form.contains(&field(name, value)), "{name}: {form}");
    }
    let asked = person.post("/dashboard/jobs/bulk", &fields).await;
    assert!(asked.text().contains("<button class=\"main\">Delete 1 job</button>"), "{}", asked.text());
}

#[tokio::test]
async fn an_address_that_names_nothing_is_answered_with_a_page() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    for path in ["jobs/xyz", "workflows/1", "backfills/xyz", "workers/xyz", "nothing", "jobs/%FF"] {
        let answer = person.get(&format!("/dashboard/{path}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer.text().contains("There is no such page"), "{path}: {}", answer.text());
    }
    let root = api.anonymous("GET", "/").send().await;
    assert_eq!((root.status, root.header("location")), (StatusCode::SEE_OTHER, Some("/dashboard")));
}
