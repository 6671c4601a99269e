//! What operators do, and what they read afterwards.

use serde_json::json;
use weirgate_identity::platform::Role;
use weirgate_queue::JobState;
use weirgate_test_support::{Does, Step, id};

use super::{Site, visit};

/// The dead letters of 300 jobs.
async fn dead_letters(site: &Site) {
    for label in 0..300 {
        site.step(&Step::new(&format!("letter {label}"), Does::Succeed)).await;
    }
    site.execute(
        "update queue.jobs set state = 'discarded', attempt = 3, finalized_at = queue.now(),
            errors = '[{\"attempt\": 3, \"at\": \"2026-01-20T00:00:00Z\", \"code\": \"hopeless\", \"message\": \"no attempt can succeed\"}]'
         where kind = 'step'",
    )
    .await;
}

#[tokio::test]
async fn jobs_are_filtered_and_the_filter_is_in_the_address() {
    visit(async |site, tab| {
        site.sign_in(tab, Role::Viewer).await;
        for label in ["needle", "hay"] {
            site.step(&Step::new(label, Does::Succeed)).await;
        }
        let running = "/internal/kpi/compute-daily?tenant_id=tenant_demo_client2&date=2026-01-20";
        site.enqueue(running).await;
        tab.follow("Jobs").await;
        tab.see_heading("Jobs").await;
        assert_eq!(tab.texts("tbody th").await, ["compute_kpi", "step", "step"]);
        tab.follow("available 3").await;
        tab.until("the tab", "document.querySelector('.tabs [aria-current]')?.innerText === 'available 3'")
            .await;
        tab.fill("combobox", "Kind", "step").await;
        tab.fill("searchbox", "Text in arguments or errors", "needle").await;
        tab.press("Show").await;
        tab.until("one row", "document.querySelectorAll('tbody tr').length === 1").await;
        let search: String = tab.eval("location.search").await;
        for part in ["state=available", "kind=step", "q=needle"] {
            assert!(search.contains(part), "{search}");
        }
        tab.follow("step").await;
        tab.see("\"needle\"").await;
        tab.eval::<Option<bool>>("history.back()").await;
        tab.see_heading("Jobs").await;
        tab.until("the filter", "document.querySelector('[name=kind]')?.value === 'step'").await;
        tab.follow("Clear").await;
        tab.until("no filter", "document.querySelector('[name=kind]')?.value === ''").await;
        tab.click("DisclosureTriangle", "More filters").await;
        tab.fill("textbox", "Argument", "date=2026-01-20").await;
        tab.press("Show").await;
        tab.until("one row", "document.querySelectorAll('tbody tr').length === 1").await;
        assert_eq!(tab.texts("tbody th").await, ["compute_kpi"]);
        let search: String = tab.eval("decodeURIComponent(location.search)").await;
        assert!(search.contains("date=2026-01-20"), "{search}");
        tab.go("/jobs?args.date=2026-01-19").await;
        tab.see("No jobs match").await;
        tab.follow("Clear").await;
        tab.until("all rows", "document.querySelectorAll('tbody tr').length === 3").await;
        tab.fill("combobox", "Tenant", "tenant_demo_client2").await;
        tab.key("Enter").await;
        tab.until("one row", "document.querySelectorAll('tbody tr').length === 1").await;
        assert_eq!(tab.texts("tbody th").await, ["compute_kpi"]);
    })
    .await;
}

#[tokio::test]
async fn all_that_match_are_retried_after_they_were_counted() {
    visit(async |site, tab| {
        site.sign_in(tab, Role::Operator).await;
        dead_letters(site).await;
        tab.go("/jobs").await;
        tab.follow("discarded 300").await;
        tab.see("hopeless: no attempt can succeed").await;
        tab.press("Retry… all matching jobs").await;
        tab.see_heading("Retry 300 jobs").await;
        tab.press("Retry 300 jobs").await;
        tab.see_heading("bulk_jobs available").await;
        tab.eval::<bool>("window.stayed = true").await;
        let worker = site.start_worker();
        tab.see_heading("bulk_jobs completed").await;
        tab.see("300 of 300").await;
        assert!(tab.eval::<bool>("window.stayed").await, "nothing was loaded again");
        tab.go("/jobs?state=discarded").await;
        tab.see("No jobs match").await;
        tab.go("/jobs?state=available&kind=step").await;
        tab.see_heading("Jobs").await;
        assert_eq!(tab.texts("tbody tr").await.len(), 50);
        tab.go("/audit").await;
        tab.see("jobs.retry").await;
        worker.stop().await;
    })
    .await;
}

#[tokio::test]
async fn only_what_is_selected_is_cancelled() {
    visit(async |site, tab| {
        site.sign_in(tab, Role::Operator).await;
        let mut jobs = Vec::new();
        for label in ["a", "b", "c"] {
            jobs.push(site.step(&Step::new(label, Does::Succeed)).await);
        }
        tab.go("/jobs").await;
        for job in &jobs[..2] {
            let boxes: String =
                tab.eval(&format!("document.querySelector('tbody [value=\"{job}\"]').ariaLabel")).await;
            tab.click("checkbox", &boxes).await;
        }
        tab.press("Cancel… the selected jobs").await;
        tab.see_heading("Cancel 2 jobs").await;
        tab.press("Cancel 2 jobs").await;
        tab.see_heading("bulk_jobs available").await;
        let worker = site.start_worker();
        for (job, state) in
            jobs.into_iter().zip([JobState::Cancelled, JobState::Cancelled, JobState::Available])
        {
            site.db().until(job, state).await;
        }
        worker.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_paused_queue_is_why_a_job_does_not_run() {
    visit(async |site, tab| {
        site.sign_in(tab, Role::Operator).await;
        let worker = site.start_worker();
        tab.go("/queues").await;
        tab.press("Pause kpi").await;
        tab.see_heading("Pause queue kpi").await;
        tab.press("Pause queue kpi").await;
        tab.see_heading("Queue kpi paused").await;
        let target = "/internal/kpi/compute-daily?tenant_id=tenant_demo_cca&date=2026-01-20";
        let job = id(&site.enqueue(target).await["id"]);
        tab.go(&format!("/jobs/{job}")).await;
        tab.see_heading("compute_kpi available").await;
        tab.see("Why it is not running: queue \"kpi\" is paused").await;
        tab.follow("Overview").await;
        tab.see("Queue kpi is paused").await;
        tab.follow("Queues").await;
        tab.see_heading("Queues").await;
        tab.press("Resume kpi").await;
        tab.see_heading("Resume queue kpi").await;
        tab.press("Resume queue kpi").await;
        tab.see_heading("Queue kpi").await;
        site.db().until(job, JobState::Completed).await;
        tab.go(&format!("/jobs/{job}")).await;
        tab.see_heading("compute_kpi completed").await;
        worker.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_paused_lane_is_why_a_job_does_not_run_and_others_run_on() {
    visit(async |site, tab| {
        site.sign_in(tab, Role::Operator).await;
        let worker = site.start_worker();
        tab.follow("Tenants").await;
        tab.follow("tenant_demo_cca").await;
        tab.see_heading("tenant_demo_cca").await;
        tab.follow("kpi").await;
        tab.see_heading("tenant_demo_cca in queue kpi").await;
        tab.press("Pause…").await;
        tab.press("Pause tenant_demo_cca in queue kpi").await;
        tab.see_heading("tenant_demo_cca in queue kpi paused").await;
        let enqueue = async |tenant: &str| {
            let target = format!("/internal/kpi/compute-daily?tenant_id={tenant}&date=2026-01-20");
            id(&site.enqueue(&target).await["id"])
        };
        let (held, free) = (enqueue("tenant_demo_cca").await, enqueue("tenant_demo_client2").await);
        tab.go(&format!("/jobs/{held}")).await;
        tab.see("Why it is not running: tenant_demo_cca is paused in queue \"kpi\"").await;
        site.db().until(free, JobState::Completed).await;
        assert_eq!(site.db().job(held).await.state(), JobState::Available);
        tab.go("/tenants/tenant_demo_cca/lanes/kpi").await;
        tab.press("Resume…").await;
        tab.press("Resume tenant_demo_cca in queue kpi").await;
        tab.see_heading("tenant_demo_cca in queue kpi").await;
        site.db().until(held, JobState::Completed).await;
        worker.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_job_is_cancelled_and_retried() {
    visit(async |site, tab| {
        site.sign_in(tab, Role::Operator).await;
        let id = site.step(&Step::new("a", Does::Succeed)).await;
        tab.go(&format!("/jobs/{id}")).await;
        tab.press("Cancel").await;
        tab.see_heading("step cancelled").await;
        tab.press("Retry").await;
        tab.see_heading("step available").await;
        let audited: Vec<(String, serde_json::Value)> = sqlx::query_as(
            "select action, detail from identity.audit where via = 'dashboard' and action like 'job%' order by id",
        )
        .fetch_all(&site.db().pool)
        .await
        .unwrap();
        let told: Vec<_> = audited
            .iter()
            .map(|(action, detail)| (action.as_str(), &detail["before"]["state"], &detail["after"]["state"]))
            .collect();
        let [available, cancelled] = ["available", "cancelled"].map(|state| json!(state));
        let expected = [("job.cancel", &available, &cancelled), ("job.retry", &cancelled, &available)];
        assert_eq!(told, expected);
    })
    .await;
}

#[tokio::test]
async fn all_jobs_on_a_page_are_selected_at_once() {
    visit(async |site, tab| {
        site.sign_in(tab, Role::Operator).await;
        for label in ["a", "b", "c"] {
            site.step(&Step::new(label, Does::Succeed)).await;
        }
        tab.go("/jobs").await;
        let ticked =
            |count: usize| format!("document.querySelectorAll('tbody input:checked').length === {count}");
        let all = "Select all jobs on this page";
        tab.click("checkbox", all).await;
        tab.until("all are selected", &ticked(3)).await;
        tab.see("Selected 3:").await;
        tab.click("checkbox", all).await;
        tab.until("none is selected", &ticked(0)).await;
        tab.eval::<bool>("window.stayed = true").await;
        tab.follow("Select all on this page").await;
        tab.until("all are selected", &ticked(3)).await;
        assert!(tab.eval::<bool>("window.stayed").await, "nothing was loaded again");
        let one: String = tab.eval("document.querySelector('tbody input').ariaLabel").await;
        tab.click("checkbox", &one).await;
        tab.see("Selected 2:").await;
        assert!(tab.eval::<bool>("document.getElementById('all').indeterminate").await);
        tab.press("Cancel… the selected jobs").await;
        tab.see_heading("Cancel 2 jobs").await;
    })
    .await;
}
