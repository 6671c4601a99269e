//! `serve` on a socket: who calls it, from where.

use std::io::{BufRead, BufReader};

use serde_json::{Value, json};
use tempfile::TempDir;
use weirgate_test_support::TestDb;
use weirgate_web::tls::http_client;

use crate::support::{Process, database, weirgate};

const TOKEN: &str = "0123456789abcdef";
const NEXT: &str = "fedcba9876543210";

struct Server {
    _home: TempDir,
    _db: TestDb,
    _process: Process,
    base: String,
}

impl Server {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let (home, db) = (tempfile::tempdir().unwrap(), database().await);
        let mut command = weirgate(&["serve"], home.path());
        command.env("DATABASE_URL", &db.url).env("WEIRGATE_LISTEN", "127.0.0.1:0");
        command.env("SERVICE_TOKEN", TOKEN).env("WEIRGATE_LOG_FORMAT", "json");
        let mut process = Process::start(command.envs(settings.iter().copied()));
        let mut lines = BufReader::new(process.stderr()).lines();
        let base = loop {
            let line = lines.next().expect("it serves").unwrap();
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            if let Some(address) = line["address"].as_str().or(line["fields"]["address"].as_str()) {
                break format!("http://{address}");
            }
        };
        // Its log must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { _home: home, _db: db, _process: process, base }
    }

    async fn pause(&self, token: &str, forwarded_for: &str) -> u16 {
        let call = http_client().build().unwrap().post(format!("{}/internal/queues/kpi/pause", self.base));
        let call = call.bearer_auth(token).header("x-forwarded-for", forwarded_for);
        call.send().await.unwrap().status().as_u16()
    }

    /// Where those came from who paused a queue, newest first.
    async fn addresses(&self) -> Vec<Value> {
        let call =
            http_client().build().unwrap().get(format!("{}/internal/audit?action=queue.pause", self.base));
        let page: Value = call.bearer_auth(TOKEN).send().await.unwrap().json().await.unwrap();
        page["items"].as_array().unwrap().iter().map(|entry| entry["address"].clone()).collect()
    }
}

#[tokio::test]
async fn the_audit_has_the_peer_or_who_a_trusted_proxy_names_and_both_tokens_are_good() {
    let plain = Server::start(&[]).await;
    assert_eq!(plain.pause(TOKEN, "203.0.113.9").await, 200);
    assert_eq!(plain.pause(NEXT, "203.0.113.9").await, 401);
    assert_eq!(plain.addresses().await, [json!("127.0.0.1")]);

    let settings = [("SERVICE_TOKEN_NEXT", NEXT), ("WEIRGATE_TRUSTED_PROXIES", "127.0.0.1")];
    let behind = Server::start(&settings).await;
    assert_eq!(behind.pause(TOKEN, "203.0.113.9").await, 200);
    assert_eq!(behind.pause(NEXT, "198.51.100.1, 203.0.113.10").await, 200);
    assert_eq!(behind.addresses().await, [json!("203.0.113.10"), json!("203.0.113.9")]);
}
