//! Accounts at real systems, of which stand-ins on this machine answer: what their words, times and
//! withdrawals come to in KPIs.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::{Json, Router};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use weirgate_msp::sources::LiveSource;
use weirgate_msp::{App, ComputeKpi, ExportFormat, IngestCsat, IngestTickets, IngestTimeEntries, Kpis};
use weirgate_queue::{Job, JobContext, JobError};
use weirgate_test_support::tenant;

use super::export::exported;
use crate::support::{TestApp, new_app};

/// What the upstreams have: tickets, time entries, reviews.
#[derive(Default)]
struct Stock {
    tickets: Vec<Value>,
    entries: Vec<Value>,
    reviews: Vec<Value>,
}

struct Scene {
    app: TestApp,
    shared: Arc<App>,
    stock: Arc<Mutex<Stock>>,
    server: JoinHandle<()>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(stock): State<Arc<Mutex<Stock>>>, uri: Uri) -> Json<Value> {
    let stock = stock.lock();
    let first = |list: &[Value]| match uri.query() {
        Some(query) if !query.contains("page=1") || query.contains("page=10") => json!([]),
        _ => json!(list),
    };
    Json(match uri.path() {
        path if path.ends_with("/service/tickets") => first(&stock.tickets),
        path if path.ends_with("/time/entries") => first(&stock.entries),
        path if path.ends_with("/token/") => {
            json!({ "access_token": "t", "token_type": "Bearer", "expires_in": 3600 })
        }
        _ => json!({ "results": stock.reviews, "next": null }),
    })
}

impl Scene {
    async fn new(time_zone: &str) -> Self {
        let app = new_app().await;
        tenant(&app.db.pool, "acme", time_zone).await;
        let stock = Arc::<Mutex<Stock>>::default();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(stock.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let accounts = json!({ "acme": {
            "connectwise": { "url": url, "company": "c", "public_key": "p", "private_key": "k", "client_id": "i",
                "priorities": { "drop EVERYTHING": "Critical" }, "statuses": { "erledigt": "Closed" },
                "requests_per_second": 1000 },
            "smileback": { "url": url, "client_id": "i", "client_secret": "s", "username": "u", "password": "p",
                "requests_per_second": 1000 },
        } });
        app.write("sources.json", accounts.to_string());
        let path = app.folder.path().join("sources.json");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, mode).unwrap();
        let source = Arc::new(LiveSource::load(&path).unwrap());
        let shared = Arc::new(App { pool: app.db.pool.clone(), source, exports: app.app.exports.clone() });
        Self { app, shared, stock, server }
    }

    async fn run<J: Job<App = App>>(&self, job: J) -> Result<J::Output, JobError> {
        job.run(&JobContext::detached(self.shared.clone(), self.app.db.pool.clone())).await
    }

    /// Takes in all that the upstreams have and works out the KPIs of a day.
    async fn kpis(&self, date: &str) -> Kpis {
        let tenant = || "acme".into();
        self.run(IngestTickets { tenant: tenant() }).await.unwrap();
        self.run(IngestTimeEntries { tenant: tenant() }).await.unwrap();
        self.run(IngestCsat { tenant: tenant() }).await.unwrap();
        self.run(ComputeKpi { tenant: tenant(), date: date.parse().unwrap() }).await.unwrap()
    }

    fn stock(&self, change: impl FnOnce(&mut Stock)) {
        change(&mut self.stock.lock());
    }
}

fn ticket(id: u32, status: &str, closed: Option<bool>, date: Option<&str>) -> Value {
    json!({ "id": id, "recordType": "ServiceTicket", "status": { "name": status }, "priority": { "name": "Drop Everything" },
        "closedFlag": closed, "closedDate": date,
        "_info": { "dateEntered": "2026-01-20T09:00:00Z", "lastUpdated": "2026-01-20T15:00:00Z" } })
}

fn entry(id: u32, start: &str, hours: f64) -> Value {
    json!({ "id": id, "chargeToId": 1, "chargeToType": "ServiceTicket", "timeStart": start, "actualHours": hours,
        "billableOption": "Billable", "_info": { "lastUpdated": "2026-01-20T15:00:00Z" } })
}

#[tokio::test]
async fn a_ticket_is_closed_as_its_account_says_whatever_it_calls_that() {
    let scene = Scene::new("UTC").await;
    let at = Some("2026-01-20T14:00:00Z");
    scene.stock(|stock| {
        stock.tickets = vec![
            ticket(1, ">Closed", Some(true), at),
            ticket(2, "Closed - No response", Some(true), at),
            ticket(3, "closed", Some(true), at),
            ticket(4, ">Abgeschlossen", None, at),
            ticket(5, "ERLEDIGT ", Some(false), None),
            // Reopened, and one whose name only sounds like it.
            ticket(6, "Closed", Some(false), None),
            ticket(7, "Not closed", Some(false), None),
        ];
    });
    let kpis = scene.kpis("2026-01-20").await;
    assert_eq!((kpis.tickets_closed, kpis.tickets_open, kpis.tickets_high_priority), (5, 2, 7), "{kpis:?}");
    let open: Vec<String> =
        sqlx::query_scalar("select cw_ticket_id from msp.raw_tickets where closed_at is null order by 1")
            .fetch_all(&scene.app.db.pool)
            .await
            .unwrap();
    assert_eq!(open, ["6", "7"]);
    let (_, file) = exported(&scene.app, ExportFormat::Json).await;
    let export: Value = serde_json::from_slice(&file).unwrap();
    let closed = |ticket: &&Value| !ticket["closed_at"].is_null();
    assert_eq!(export["tickets"].as_array().unwrap().iter().filter(closed).count(), 5);
}

#[tokio::test]
async fn time_counts_to_the_tenants_day_whatever_the_sources_clock_says() {
    for (zone, start, day) in [
        ("America/New_York", "2026-01-21T00:30:00Z", "2026-01-20"),
        ("America/New_York", "2026-01-21T00:30:00", "2026-01-20"),
        ("America/New_York", "2026-01-21T05:00:00Z", "2026-01-21"),
        ("Pacific/Auckland", "2026-01-20T11:00:00Z", "2026-01-21"),
        ("UTC", "2026-01-20T23:59:59Z", "2026-01-20"),
        ("Asia/Tokyo", "2026-01-20", "2026-01-20"),
    ] {
        let scene = Scene::new(zone).await;
        scene.stock(|stock| stock.entries = vec![entry(1, start, 0.5)]);
        assert_eq!(scene.kpis(day).await.total_minutes, 30, "{start} in {zone} is {day}");
    }
}

#[tokio::test]
async fn what_is_deleted_moved_or_withdrawn_no_longer_counts() {
    let scene = Scene::new("UTC").await;
    let at = "2026-01-20T10:00:00Z";
    let review = |status: &str| json!([{ "id": 1, "status": status, "rating": 1, "rated_on": at, "ticket": { "id": 1 } }]);
    let reviews = |status| review(status).as_array().unwrap().clone();
    scene.stock(|stock| {
        stock.tickets = (1..=3).map(|id| ticket(id, "New", Some(false), None)).collect();
        stock.entries = vec![entry(1, at, 1.0), entry(2, at, 8.0), entry(3, at, 2.0)];
        stock.reviews = reviews("open");
    });
    let kpis = scene.kpis("2026-01-20").await;
    assert_eq!(
        (kpis.tickets_created, kpis.total_minutes, kpis.avg_satisfaction_score),
        (3, 660, Some(100.0))
    );
    scene.stock(|stock| {
        stock.tickets.remove(2);
        stock.tickets[1]["recordType"] = json!("ProjectTicket");
        stock.entries.remove(1);
        stock.entries[1]["chargeToType"] = json!("ProjectTicket");
        stock.reviews = reviews("Deleted");
    });
    let kpis = scene.kpis("2026-01-20").await;
    assert_eq!((kpis.tickets_created, kpis.total_minutes, kpis.avg_satisfaction_score), (1, 60, None));
}
