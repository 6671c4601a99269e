//! A service as it is on a busy morning: tenants with work of every state, and every page that
//! shows it.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tempfile::TempDir;
use weirgate::seed::seed;
use weirgate_msp::App;
use weirgate_msp::mock_data::{Generate, Layout, generate};
use weirgate_msp::sources::MockSource;
use weirgate_test_support::TestWorker;

use super::{Site, Tab, people};
use crate::support::registry_with;

const TENANTS: [(&str, &str); 6] = [
    ("alder_dental", "Alder Dental"),
    ("birch_logistics", "Birch Logistics"),
    ("cedar_law", "Cedar Law"),
    ("dune_hotels", "Dune Hotels"),
    ("elm_freight", "Elm Freight"),
    ("fjord_energy", "Fjord Energy"),
];

/// Its tickets cannot be read.
const BROKEN: &str = "birch_logistics";

/// A page that there is something to see on.
pub(super) struct Page {
    pub(super) name: &'static str,
    pub(super) path: String,
    /// What is done there first, in words of the browser.
    pub(super) first: Option<&'static str>,
    /// What leads to it from there.
    pub(super) press: Option<&'static str>,
    /// Whether the path is not one below the dashboard.
    pub(super) is_beside: bool,
}

impl Page {
    /// Of the dashboard.
    pub(super) fn new(name: &'static str, path: impl Into<String>) -> Self {
        Self { name, path: path.into(), first: None, press: None, is_beside: false }
    }

    /// Beside the dashboard.
    pub(super) fn beside(name: &'static str, path: impl Into<String>) -> Self {
        Self { is_beside: true, ..Self::new(name, path) }
    }

    /// Whether it is the page at this address, whatever it is asked for.
    pub(super) fn is_at(&self, address: &str) -> bool {
        !self.is_beside && address.strip_prefix("/dashboard") == self.path.split('?').next()
    }

    pub(super) async fn show(&self, tab: &Tab) {
        if self.is_beside {
            tab.go_beside(&self.path).await;
        } else {
            tab.go(&self.path).await;
        }
        if let Some(first) = self.first {
            tab.eval::<Option<bool>>(&format!("{first}; null")).await;
        }
        if let Some(button) = self.press {
            let before: String = tab.eval("document.title").await;
            tab.press(button).await;
            tab.until("the next page", &format!("document.title !== {}", json!(before))).await;
        }
    }
}

/// What has to stay for as long as the pages are looked at.
pub(super) struct Scene {
    pub(super) pages: Vec<Page>,
    pub(super) worker: TestWorker,
    _sources: TempDir,
}

impl Scene {
    /// As it is now.
    pub(super) async fn new(site: &Site) -> Self {
        Self::after(site, 0).await
    }

    /// The same after so many minutes of work, for charts to tell of.
    pub(super) async fn after(site: &Site, minutes: u32) -> Self {
        let sources = sources();
        let pool = &site.db().pool;
        seed(pool, sources.path(), false, &mut StdRng::seed_from_u64(2)).await.unwrap();
        sqlx::query("update test_clock set shift = shift - make_interval(mins => $1)")
            .bind(i32::try_from(minutes).unwrap())
            .execute(pool)
            .await
            .unwrap();
        let source = Arc::new(MockSource { path: sources.path().to_owned() });
        let app = Arc::new(App { pool: pool.clone(), source, exports: site.app.app.exports.clone() });
        let start = || TestWorker::start_jobs(site.db(), Arc::new(registry_with(app.clone())), |_| {});
        for minute in 0..minutes {
            // What a worker came to is in the charts when it stops.
            let worker = start();
            pass(site, minute, minutes).await;
            worker.stop().await;
            site.db().travel(Duration::from_mins(1)).await;
        }
        let worker = start();
        work(site).await;
        hold_up(site).await;
        let mut pages = pages(site).await;
        pages.extend(people::pages(site).await);
        Self { pages, worker, _sources: sources }
    }
}

/// Rows of a month for each tenant.
fn sources() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    generate(&Generate {
        out: folder.path().to_owned(),
        tenants: TENANTS.len(),
        tickets: 120,
        time_entries: 200,
        surveys: 40,
        alerts: 25,
        days: 31,
        until: "2026-01-31".parse().unwrap(),
        seed: 7,
        bad_rows: 3,
        layout: Layout::Jsonl,
        force: true,
    })
    .unwrap();
    let list = folder.path().join("tenants.json");
    let mut tenants: Vec<Value> = serde_json::from_str(&fs::read_to_string(&list).unwrap()).unwrap();
    for (tenant, (slug, name)) in tenants.iter_mut().zip(TENANTS) {
        let made = tenant["slug"].as_str().unwrap();
        fs::rename(folder.path().join(made), folder.path().join(slug)).unwrap();
        // Rows say whose they are, too.
        for file in fs::read_dir(folder.path().join(slug)).unwrap() {
            let file = file.unwrap().path();
            fs::write(&file, fs::read_to_string(&file).unwrap().replace(made, slug)).unwrap();
        }
        (tenant["slug"], tenant["name"]) = (slug.into(), name.into());
    }
    fs::write(list, json!(tenants).to_string()).unwrap();
    break_tickets(&folder.path().join(BROKEN));
    folder
}

/// In place of the file there is a folder.
fn break_tickets(tenant: &Path) {
    fs::remove_file(tenant.join("tickets.jsonl")).unwrap();
    fs::create_dir(tenant.join("tickets.jsonl")).unwrap();
}

/// The daily work, to its end; what cannot be done ends as retried and as failed for good.
async fn work(site: &Site) {
    let failing = format!("/internal/ingest/tickets?tenant_id={BROKEN}&max_attempts=1");
    for _ in 0..3 {
        site.enqueue(&format!("{failing}&force=true")).await;
    }
    for (slug, _) in TENANTS {
        for date in ["2026-01-20", "2026-01-21"] {
            site.enqueue(&format!("/internal/pipelines/daily?tenant_id={slug}&date={date}")).await;
        }
    }
    until_idle(site).await;
}

/// A minute of work, more of it in the middle of the hour.
async fn pass(site: &Site, minute: u32, of: u32) {
    let wave = 1 + 4 * minute.min(of - minute) / of + minute * 7 % 3;
    for (index, (slug, _)) in TENANTS.iter().enumerate().take(1 + (minute as usize * 5) % TENANTS.len()) {
        for number in 0..wave {
            let day = 1 + (minute + 10 * number) % 31;
            let compute =
                format!("/internal/kpi/compute-daily?tenant_id={slug}&date=2026-01-{day:02}&force=true");
            site.enqueue(&compute).await;
        }
        if (minute as usize + index).is_multiple_of(9) {
            site.enqueue(&format!("/internal/ingest/tickets?tenant_id={slug}&force=true&max_attempts=2"))
                .await;
        }
    }
    until_idle(site).await;
}

async fn until_idle(site: &Site) {
    until(site, "select not exists (select from queue.jobs where state in ('available', 'running'))").await;
}

async fn until(site: &Site, so: &'static str) {
    for _ in 0..1200 {
        if sqlx::query_scalar::<_, bool>(so).fetch_one(&site.db().pool).await.unwrap() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it does not come to that: {so}");
}

/// Pauses, limits and times to come: jobs that wait, each for its reason.
async fn hold_up(site: &Site) {
    site.post("/internal/queues/export/pause").await.ok(StatusCode::OK);
    for (slug, _) in TENANTS {
        let export = format!("/internal/exports/generate?tenant_id={slug}&date=2026-01-20&format=csv");
        site.enqueue(&export).await;
        site.enqueue(&format!("/internal/ingest/csat?tenant_id={slug}&run_at=2099-01-01T05:00:00Z")).await;
    }
    let job = site
        .enqueue("/internal/ingest/security_alerts?tenant_id=elm_freight&run_at=2099-01-01T00:00:00Z")
        .await;
    site.post(&format!("/internal/jobs/{}/cancel", job["id"].as_str().unwrap())).await.ok(StatusCode::OK);
    let limits = json!({ "queues": { "kpi": { "rate": 1, "period_s": 1, "burst": 5 } } }).to_string();
    for (slug, _) in TENANTS {
        let path = format!("/internal/tenants/{slug}/limits");
        site.service("PUT", &path).json(limits.clone()).send().await.ok(StatusCode::OK);
    }
    let backfill = json!({ "kind": "compute_kpi", "tenants": TENANTS.map(|(slug, _)| slug), "from": "2026-01-01",
        "to": "2026-01-31", "reprocess": "all" });
    site.service("POST", "/internal/backfills")
        .json(backfill.to_string())
        .send()
        .await
        .ok(StatusCode::ACCEPTED);
    let begun = "select count(*) >= 30 from queue.jobs where backfill_id is not null and state = 'completed'";
    until(site, begun).await;
}

/// A job of a kind in a state.
async fn job(site: &Site, kind: &str, state: &str) -> String {
    let sql = "select id::text from queue.jobs where kind = $1 and state = $2::text::queue.job_state
        order by jsonb_array_length(errors) desc, seq limit 1";
    let found: Option<String> =
        sqlx::query_scalar(sql).bind(kind).bind(state).fetch_optional(&site.db().pool).await.unwrap();
    format!("/jobs/{}", found.unwrap_or_else(|| panic!("no {kind} is {state}")))
}

/// One whose jobs are not all over.
async fn workflow(site: &Site) -> String {
    let sql = "select workflow_id::text from queue.jobs where workflow_id is not null and state = 'waiting' order by seq limit 1";
    format!("/workflows/{}", sqlx::query_scalar::<_, String>(sql).fetch_one(&site.db().pool).await.unwrap())
}

/// The only one there is.
async fn backfill(site: &Site) -> String {
    let sql = "select id::text from queue.backfills";
    format!("/backfills/{}", sqlx::query_scalar::<_, String>(sql).fetch_one(&site.db().pool).await.unwrap())
}

/// Opens the form for a key.
const NEW_KEY: &str = "document.querySelector('details.form').open = true";

const RIGHT_KEY: &str = "document.querySelector('details.form').open = true; \
    document.querySelector('details.form [name=name]').value = 'auditor'; \
    document.querySelectorAll('[name=scopes]').forEach((box, at) => (box.checked = at < 2))";

/// The buttons of keys say which key is meant, and those are random.
const ONE_KEY: &str = "document.querySelector('[aria-label^=Revoke]').ariaLabel = 'Revoke'";

/// Each page of the dashboard.
async fn pages(site: &Site) -> Vec<Page> {
    vec![
        Page::new("overview", ""),
        Page::new("jobs", "/jobs"),
        Page::new("jobs-failed", "/jobs?state=retryable&state=discarded"),
        Page { press: Some("Retry… all matching jobs"), ..Page::new("bulk", "/jobs?state=discarded") },
        Page::new("job-completed", job(site, "generate_export", "completed").await),
        Page::new("job-discarded", job(site, "ingest_tickets", "discarded").await),
        Page::new("job-retried", job(site, "ingest_tickets", "retryable").await),
        Page::new("job-waiting", job(site, "compute_kpi", "waiting").await),
        Page::new("job-paused", job(site, "generate_export", "available").await),
        Page::new("failures", "/failures"),
        Page::new("rejects", "/rejects"),
        Page::new("tenants", "/tenants"),
        Page::new("tenants-failing", "/tenants?show=failing"),
        Page::new("tenant", "/tenants/alder_dental"),
        Page::new("tenant-new", "/new-tenant"),
        Page {
            press: Some("Deactivate the tenant…"),
            ..Page::new("tenant-deactivate", "/tenants/alder_dental")
        },
        Page { first: Some(NEW_KEY), ..Page::new("key-new", "/tenants/alder_dental") },
        Page {
            first: Some(RIGHT_KEY),
            press: Some("Create key"),
            ..Page::new("key-created", "/tenants/birch_logistics")
        },
        Page { first: Some(ONE_KEY), press: Some("Revoke"), ..Page::new("key-revoke", "/tenants/cedar_law") },
        Page::new("lane", "/tenants/alder_dental/lanes/kpi"),
        Page { press: Some("Pause…"), ..Page::new("lane-pause", "/tenants/alder_dental/lanes/kpi") },
        Page { press: Some("Set…"), ..Page::new("lane-limits", "/tenants/alder_dental/lanes/kpi") },
        Page::new("queues", "/queues"),
        Page::new("workflows", "/workflows"),
        Page::new("workflow", workflow(site).await),
        Page::new("queue", "/queues/kpi"),
        Page::new("backfills", "/backfills"),
        Page::new("backfill", backfill(site).await),
        Page::new("backfill-new", "/backfills/new"),
        Page::new("schedules", "/schedules"),
        Page::new("kpis", "/kpis?tenant_id=alder_dental&from=2026-01-01&to=2026-01-31"),
        Page::new("workers", "/workers"),
        Page::new("audit", "/audit"),
    ]
}
