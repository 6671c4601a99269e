//! Pages that change by themselves.

use weirgate_identity::platform::Role;
use weirgate_test_support::{Does, Probe, Step, TestWorker};

use super::visit;

/// What stays on a page as long as nobody loads it again.
const MARK: &str = "window.stayed = true";

#[tokio::test]
async fn a_job_is_watched_from_available_to_completed() {
    visit(async |site, tab| {
        site.sign_in(tab, Role::Operator).await;
        let id = site.step(&Step::new("ship", Does::Progress { done: 3, total: 8 })).await;
        tab.go(&format!("/jobs/{id}")).await;
        tab.see_heading("step available").await;
        tab.see("no live worker serves queue").await;
        tab.eval::<bool>(MARK).await;
        let probe = Probe::new(site.db().pool.clone());
        let worker = TestWorker::start(site.db(), &probe);
        tab.see_heading("step running").await;
        tab.see("3 of 8 on the way").await;
        assert_eq!(tab.eval::<u64>("document.querySelector('main progress').value").await, 3);
        probe.open("ship");
        tab.see_heading("step completed").await;
        tab.see("Output").await;
        assert!(tab.eval::<bool>("window.stayed").await, "nothing was loaded again");
        assert!(!tab.has("button", "Cancel").await, "there is nothing to be cancelled");
        worker.stop().await;
    })
    .await;
}

#[tokio::test]
async fn the_overview_shows_what_changes() {
    visit(async |site, tab| {
        site.sign_in(tab, Role::Operator).await;
        tab.eval::<bool>(MARK).await;
        let queue =
            "[...document.querySelectorAll('main tbody tr')].find((it) => it.innerText.startsWith('kpi'))";
        for at in ["2026-01-19", "2026-01-20"] {
            site.enqueue(&format!("/internal/kpi/compute-daily?tenant_id=tenant_demo_cca&date={at}")).await;
        }
        tab.until("two jobs that may start", &format!("{queue}?.cells[1].innerText === '2'")).await;
        assert!(tab.eval::<bool>("window.stayed").await, "nothing was loaded again");
    })
    .await;
}

#[tokio::test]
async fn new_jobs_are_announced_and_come_when_asked_for() {
    visit(async |site, tab| {
        site.sign_in(tab, Role::Viewer).await;
        site.step(&Step::new("first", Does::Succeed)).await;
        tab.go("/jobs").await;
        tab.see("first").await;
        tab.eval::<bool>(MARK).await;
        site.step(&Step::new("second", Does::Succeed)).await;
        tab.until("the button", "document.querySelector('main button.new')?.checkVisibility()").await;
        assert_eq!(tab.texts("tbody tr").await.len(), 1, "nothing moves by itself");
        tab.press("Show 1 new").await;
        tab.until("both", "document.querySelectorAll('tbody tr').length === 2").await;
        assert!(tab.texts("tbody tr").await[0].contains("second"));
        assert!(tab.eval::<bool>("window.stayed").await, "nothing was loaded again");
    })
    .await;
}

#[tokio::test]
async fn a_backfill_is_made_from_a_dry_run_and_its_days_fill() {
    visit(async |site, tab| {
        site.sign_in(tab, Role::Operator).await;
        tab.follow("Backfills").await;
        tab.follow("New backfill").await;
        tab.see_heading("New backfill").await;
        for (name, day) in [("from", "2026-01-20"), ("to", "2026-01-22")] {
            let set = format!("(document.querySelector('[name={name}]').value = '{day}', true)");
            tab.eval::<bool>(&set).await;
        }
        tab.press("Dry run").await;
        tab.see_heading("Dry run: compute_kpi, 2026-01-20 to 2026-01-22").await;
        tab.see("This would create 6 jobs for 6 tenant-days").await;
        assert_eq!(site.count("queue.backfills").await, 0, "it only counts");
        tab.press("Create backfill").await;
        tab.see_heading("compute_kpi, 2026-01-20 to 2026-01-22").await;
        tab.see("0 of 6 tenant-days").await;
        tab.eval::<bool>(MARK).await;
        let cells = "[...document.querySelectorAll('table.calendar td > *')].map((it) => it.title)";
        let worker = site.start_worker();
        tab.until(
            "the last day done",
            &format!("{cells}.filter((it) => it.endsWith('completed')).length === 6"),
        )
        .await;
        tab.until("its end", "document.querySelector('[data-state]').dataset.state === 'completed'").await;
        tab.until("no button any more", "document.querySelectorAll('#actions button').length === 0").await;
        assert!(tab.eval::<bool>("window.stayed").await, "nothing was loaded again");
        tab.follow("2026-01-21 completed").await;
        tab.see_heading("compute_kpi completed").await;
        worker.stop().await;
    })
    .await;
}

#[cfg(feature = "board")]
#[tokio::test]
async fn the_board_of_apalis_runs_under_our_policy() {
    visit(async |site, tab| {
        site.sign_in(tab, Role::Viewer).await;
        site.enqueue("/internal/kpi/compute-daily?tenant_id=tenant_demo_cca&date=2026-01-20").await;
        tab.go_beside("/board").await;
        tab.see("kpi").await;
    })
    .await;
}
