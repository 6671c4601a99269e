//! The same pages for a browser that runs no script.

use weirgate_identity::platform::Role;
use weirgate_queue::JobState;
use weirgate_test_support::{Does, Step};

use super::visit;

#[tokio::test]
async fn pages_are_read_filtered_and_acted_on_without_script() {
    visit(async |site, tab| {
        tab.turn_scripts_off().await;
        site.sign_in(tab, Role::Operator).await;
        let started = tab.eval::<usize>(
            "performance.getEntriesByType('resource').filter((it) => it.name.includes('/live')).length",
        );
        assert_eq!(started.await, 0, "no script runs");
        let [one, other] = [
            site.step(&Step::new("needle", Does::Succeed)).await,
            site.step(&Step::new("hay", Does::Succeed)).await,
        ];
        tab.follow("Jobs").await;
        tab.fill("searchbox", "Text in arguments or errors", "needle").await;
        tab.press("Show").await;
        tab.until("one row", "document.querySelectorAll('tbody tr').length === 1").await;
        tab.follow("step").await;
        tab.see_heading("step available").await;
        tab.press("Cancel").await;
        tab.see_heading("step cancelled").await;
        tab.go("/jobs?kind=step&state=available").await;
        tab.press("Cancel… all matching jobs").await;
        tab.see_heading("Cancel 1 job").await;
        tab.press("Cancel 1 job").await;
        tab.see_heading("bulk_jobs available").await;
        let worker = site.start_worker();
        site.db().until(other, JobState::Cancelled).await;
        tab.go(&format!("/jobs/{one}")).await;
        tab.press("Retry").await;
        tab.see_heading("step available").await;
        tab.follow("Queues").await;
        tab.press("Pause export").await;
        tab.press("Pause queue export").await;
        tab.see_heading("Queue export paused").await;
        tab.press("Sign out").await;
        tab.see_address("/sign-in").await;
        worker.stop().await;
    })
    .await;
}
