//! Schedules on the dashboard: when they run, run now, on and off.

use axum::http::StatusCode;
use weirgate_identity::platform::Role;

use crate::support::TestApi;
use crate::support::person::{Person, audited};

const PATH: &str = "/dashboard/schedules";

#[tokio::test]
async fn they_are_shown_with_their_times() {
    let api = TestApi::new().await;
    api.db().travel_to("2030-03-29T23:30:00Z").await;
    let person = Person::new(&api, "eve@example.com", Role::Viewer).await;
    let page = person.get(PATH).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    for said in
        ["daily_pipeline", "0 15 0 * * *", "each tenant&#39;s own", "rescue", "2030-03-30T00:15:00.000Z"]
    {
        assert!(page.text().contains(said), "{said}: {}", page.text());
    }
    assert!(!page.text().contains("Run now"), "no button for what one may not do");
    // As an earlier version may have left it.
    api.execute(
        "alter table identity.tenants disable trigger tenants_time_zone_is_known_update;
         update identity.tenants set time_zone = 'CEST-2' where slug = 'tenant_demo_cca';
         alter table identity.tenants enable trigger tenants_time_zone_is_known_update",
    )
    .await;
    assert!(person.get(PATH).await.text().contains("tenant tenant_demo_cca"), "what is wrong is said");
    for verb in ["run", "pause", "resume"] {
        let refused = person.post(&format!("{PATH}/daily_pipeline/{verb}"), &[]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{verb}");
    }
    assert_eq!(api.count("queue.jobs").await, 0);
}

#[tokio::test]
async fn an_operator_runs_pauses_and_resumes_them() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let daily = format!("{PATH}/daily_pipeline");
    let one = person.post(&format!("{daily}/run"), &[("tenant_id", "tenant_demo_client2")]).await;
    let job = one.header("location").unwrap().to_owned();
    let shown = person.get(&job).await;
    assert!(shown.text().contains("generate_export") && shown.text().contains("tenant_demo_client2"));
    assert_eq!(api.count("queue.jobs").await, 6, "the whole pipeline");
    let asked = person.post(&format!("{daily}/run"), &[]).await;
    assert!(asked.text().contains("It is enqueued for 2 active tenants"), "{}", asked.text());
    assert_eq!(api.count("queue.jobs").await, 6, "not before that was said yes to");
    let all = person.post(&format!("{daily}/run"), &[("confirmed", "true")]).await;
    assert_eq!(all.header("location"), Some(format!("{PATH}?ran=daily_pipeline&jobs=2").as_str()));
    assert!(
        person
            .get(all.header("location").unwrap())
            .await
            .text()
            .contains("daily_pipeline started for 2 tenants.")
    );
    assert_eq!(api.count("queue.jobs").await, 12, "a live pipeline of the same day is not doubled");

    let asked = person.post(&format!("{daily}/pause"), &[]).await;
    assert!(asked.text().contains("Runs missed meanwhile are not made up"), "{}", asked.text());
    let asked = person.post(&format!("{PATH}/rescue/pause"), &[]).await;
    assert!(asked.text().contains("The engine relies on it"), "{}", asked.text());
    assert!(!person.get(PATH).await.text().contains("Resume…"), "not before that was said yes to");
    person.post(&format!("{daily}/pause"), &[("confirmed", "true")]).await;
    let page = person.get(PATH).await;
    assert!(page.text().contains("Resume…") && page.text().contains(">paused</span>"), "{}", page.text());
    let asked = person.post(&format!("{daily}/resume"), &[]).await;
    assert!(asked.text().contains("It runs again from its next time on"), "{}", asked.text());
    person.post(&format!("{daily}/resume"), &[("confirmed", "true")]).await;
    assert!(!person.get(PATH).await.text().contains("Resume…"));

    for (path, fields, status) in [
        ("rescue/run", vec![], StatusCode::CONFLICT),
        ("nothing/run", vec![], StatusCode::NOT_FOUND),
        ("nothing/pause", vec![], StatusCode::NOT_FOUND),
        ("daily_pipeline/run", vec![("tenant_id", "nobody")], StatusCode::NOT_FOUND),
    ] {
        let refused = person.post(&format!("{PATH}/{path}"), &fields).await;
        assert_eq!(refused.status, status, "{path}: {}", refused.text());
    }
    let did: Vec<_> = audited(&api).await.into_iter().map(|(_, action, target)| (action, target)).collect();
    let expected = ["run", "run", "off", "on"];
    assert_eq!(did, expected.map(|verb| (format!("schedule.{verb}"), "daily_pipeline".to_owned())));
}

#[tokio::test]
async fn one_that_has_nothing_to_do_says_so_when_it_is_run() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let ran = person.post(&format!("{PATH}/rotate_signing_keys/run"), &[]).await;
    let page = person.get(ran.header("location").unwrap()).await;
    assert!(page.text().contains("rotate_signing_keys has nothing to do at present"), "{}", page.text());
    assert_eq!(api.count("queue.jobs").await, 0);
}
