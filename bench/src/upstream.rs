//! A ticket system whose answers wait for a call of `answer`, and a file with the accounts that
//! many tenants have there.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::{Json, Router};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(super) struct Upstream {
    url: String,
    asked: Arc<AtomicUsize>,
    answer: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Upstream {
    /// On a free port of this machine; each answer will have so many tickets.
    pub(super) async fn start(tickets: usize) -> anyhow::Result<Self> {
        // Each request has a connection, at both ends. Processes that are started later inherit
        // this limit.
        let most = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most })?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (asked, answer) = (Arc::<AtomicUsize>::default(), CancellationToken::new());
        let page: Vec<Value> = (0..tickets).map(ticket).collect();
        let reply = {
            let (asked, answer) = (asked.clone(), answer.clone());
            move || {
                let (asked, answer, page) = (asked.clone(), answer.clone(), page.clone());
                async move {
                    asked.fetch_add(1, Ordering::Relaxed);
                    answer.cancelled().await;
                    Json(page)
                }
            }
        };
        let serving = tokio::spawn(axum::serve(listener, Router::new().fallback(reply)).into_future());
        Ok(Self { url, asked, answer, serving })
    }

    /// Requests so far.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Lets those who wait go on, and all that come after them.
    pub(super) fn answer(&self) {
        self.answer.cancel();
    }

    pub(super) fn stop(self) {
        self.serving.abort();
    }

    /// Writes a file for `WEIRGATE_SOURCES`.
    pub(super) fn write_accounts(&self, path: &Path, tenants: &[String]) -> anyhow::Result<()> {
        let account = json!({
            "connectwise": {
                "url": self.url, "company": "bench", "public_key": "public", "private_key": "private", "client_id": "bench",
            }
        });
        let accounts: Map<String, Value> =
            tenants.iter().map(|slug| (slug.clone(), account.clone())).collect();
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(serde_json::to_writer(file, &accounts)?)
    }
}

fn ticket(id: usize) -> Value {
    json!({
        "id": id, "summary": "Cannot access email", "recordType": "ServiceTicket",
        "board": { "id": 1, "name": "Service" }, "status": { "id": 16, "name": "Closed" },
        "company": { "id": 24, "identifier": "Acme", "name": "Acme Corp" },
        "priority": { "id": 4, "name": "Priority 2 - High", "sort": 3 },
        "owner": { "id": 3, "identifier": "tech1", "name": "Ada Tech" },
        "budgetHours": 1.5, "closedDate": "2026-01-21T10:00:00Z", "closedFlag": true,
        "slaStatus": "OK", "isInSla": true, "sla": { "id": 1, "name": "Standard" },
        "_info": { "lastUpdated": "2026-01-21T10:00:05Z", "dateEntered": "2026-01-20T09:00:00Z" },
    })
}
