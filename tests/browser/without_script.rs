//! The same pages for a browser that runs no script.

use weirgate_identity::platform::Role;
use weirgate_queue::JobState;
use weirgate_test_support::{Does, Step};

use super::{PASSWORD, visit};

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

#[tokio::test]
async fn somebody_is_invited_chooses_a_password_and_another_one_without_script() {
    visit(async |site, tab| {
        tab.turn_scripts_off().await;
        site.sign_in(tab, Role::Admin).await;
        tab.follow("Accounts").await;
        tab.follow("New account").await;
        tab.fill("textbox", "Email", "grace@example.com").await;
        tab.press("Create and show the link").await;
        tab.see_heading("Link for grace@example.com").await;
        let link: String = tab.eval("document.querySelector('input.long').value").await;
        tab.press("Sign out").await;
        tab.see_address("/sign-in").await;

        tab.go_beside(&link[link.find("/account").unwrap()..]).await;
        tab.fill("textbox", "Password (12 to 1,000 characters)", PASSWORD).await;
        tab.fill("textbox", "Password, again", PASSWORD).await;
        tab.press("Set password").await;
        tab.see("Your password is set. Sign in with it.").await;
        // The email is filled in already.
        tab.fill("textbox", "Password", PASSWORD).await;
        tab.press("Sign in").await;
        tab.see_heading("Overview").await;
        tab.follow("grace@example.com").await;
        tab.see_heading("My account").await;
        tab.fill("textbox", "Current password", PASSWORD).await;
        for field in ["New password (12 to 1,000 characters)", "New password, again"] {
            tab.fill("textbox", field, "correct horse battery").await;
        }
        tab.press("Change password").await;
        tab.see("Your password is changed. You are signed out everywhere but here.").await;
    })
    .await;
}
