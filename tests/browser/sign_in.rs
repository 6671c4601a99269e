//! Who comes in, who stays in, and who may do what.

use std::time::Duration;

use weirgate_identity::platform::{self, Role};
use weirgate_queue::JobState;
use weirgate_test_support::{Does, Step};

use super::site::sign_in;
use super::{PASSWORD, visit};

#[tokio::test]
async fn a_wrong_password_is_told_and_the_right_one_leads_to_the_page_that_was_wanted() {
    visit(async |site, tab| {
        platform::create(&site.db().pool, "ada@example.com", Role::Viewer, PASSWORD).await.unwrap();
        tab.watch.expect(401);
        tab.go("/jobs?state=discarded").await;
        sign_in(tab, "not the password").await;
        tab.see("Wrong email or password.").await;
        assert_eq!(tab.eval::<String>("document.querySelector('[type=password]').value").await, "");
        sign_in(tab, PASSWORD).await;
        tab.see_heading("Jobs").await;
        tab.see_address("/jobs?state=discarded").await;
        tab.see("ada@example.com viewer").await;
        tab.press("Sign out").await;
        tab.see_address("/sign-in").await;
        tab.go("/audit").await;
        tab.see_address("/sign-in?next=%2Fdashboard%2Faudit").await;
    })
    .await;
}

#[tokio::test]
async fn the_keyboard_is_enough() {
    visit(async |site, tab| {
        platform::create(&site.db().pool, "ada@example.com", Role::Operator, PASSWORD).await.unwrap();
        tab.go("/queues").await;
        // The first field has the focus already.
        tab.until("the focus", "document.activeElement.name === 'email'").await;
        tab.type_text("ada@example.com").await;
        tab.key("Tab").await;
        tab.type_text(PASSWORD).await;
        tab.key("Enter").await;
        tab.see_heading("Queues").await;
        tab.key("Tab").await;
        assert_eq!(tab.eval::<String>("document.activeElement.innerText").await, "Skip to the content");
        tab.key("Enter").await;
        let mut reached = Vec::new();
        while reached.last().is_none_or(|it| it != "Pause kpi") {
            tab.key("Tab").await;
            reached.push(
                tab.eval::<String>(
                    "document.activeElement.ariaLabel ?? document.activeElement.innerText.trim()",
                )
                .await,
            );
            assert!(reached.len() < 30 && !reached.contains(&"Overview".to_owned()), "{reached:?}");
        }
        let outline = "getComputedStyle(document.activeElement).outlineStyle";
        assert_ne!(tab.eval::<String>(outline).await, "none", "one sees where one is");
        tab.key("Enter").await;
        tab.see_heading("Pause queue kpi").await;
    })
    .await;
}

#[tokio::test]
async fn a_session_that_has_expired_asks_to_sign_in_again_and_goes_on_there() {
    visit(async |site, tab| {
        site.sign_in(tab, Role::Viewer).await;
        tab.follow("Jobs").await;
        tab.see_heading("Jobs").await;
        site.db().travel(Duration::from_hours(9)).await;
        tab.follow("Workers").await;
        tab.see_address("/sign-in?next=%2Fdashboard%2Fworkers").await;
        sign_in(tab, PASSWORD).await;
        tab.see_heading("Workers").await;
    })
    .await;
}

#[tokio::test]
async fn a_page_that_is_live_asks_to_sign_in_again_by_itself() {
    visit(async |site, tab| {
        tab.watch.expect_text("EventSource's response has a MIME type (\"text/html\")");
        site.sign_in(tab, Role::Viewer).await;
        site.db().travel(Duration::from_hours(9)).await;
        // As when the service is started anew: every stream ends, and browsers come back for
        // theirs.
        site.close_streams();
        tab.see_address("/sign-in?next=%2Fdashboard").await;
    })
    .await;
}

#[tokio::test]
async fn a_form_without_its_token_does_nothing() {
    visit(async |site, tab| {
        tab.watch.expect(403);
        site.sign_in(tab, Role::Admin).await;
        let id = site.step(&Step::new("a", Does::Succeed)).await;
        for change in ["it.remove()", "it.value = '0'"] {
            tab.go(&format!("/jobs/{id}")).await;
            let all = "document.querySelectorAll('main [name=csrf]')";
            tab.eval::<bool>(&format!("({all}.forEach((it) => {change}), true)")).await;
            tab.press("Cancel").await;
            tab.see_heading("This page is out of date").await;
            tab.see("Nothing was done.").await;
        }
        assert_eq!(site.db().job(id).await.state(), JobState::Available);
    })
    .await;
}

#[tokio::test]
async fn a_viewer_finds_no_button_and_is_refused_without_one() {
    visit(async |site, tab| {
        tab.watch.expect(403);
        site.sign_in(tab, Role::Viewer).await;
        let id = site.step(&Step::new("a", Does::Succeed)).await;
        for path in ["/queues", "/jobs?state=available", &format!("/jobs/{id}")] {
            tab.go(path).await;
            let buttons = tab.texts("main form[method=post] button").await;
            assert_eq!(buttons, [""; 0], "{path}");
        }
        // The token is there, for signing out; somebody who knows the address can send it.
        let forge = format!(
            "{{ const form = document.querySelector('form.who'); form.action = '/dashboard/jobs/{id}/cancel'; form.submit() }}"
        );
        tab.eval::<Option<bool>>(&forge).await;
        tab.see_heading("Not allowed").await;
        tab.see("You are signed in as viewer; this needs the operator role.").await;
        assert_eq!(site.db().job(id).await.state(), JobState::Available);
    })
    .await;
}
