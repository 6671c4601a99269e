//! `up` whose private Postgres ends under it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use weirgate_web::tls::http_client;

use super::up::{Up, up};

/// After so long, jobs are accepted again.
const BACK: Duration = Duration::from_secs(30);

struct Client<'a> {
    up: &'a Up,
    http: reqwest::Client,
    /// Jobs that were acknowledged.
    accepted: Vec<String>,
}

impl<'a> Client<'a> {
    fn new(up: &'a Up) -> Self {
        let http = http_client().timeout(Duration::from_secs(10)).build().unwrap();
        Self { up, http, accepted: Vec::new() }
    }

    /// Asks for another day's KPIs; whether that was acknowledged. What is not is told to be tried
    /// again.
    async fn enqueue(&mut self) -> bool {
        let day = chrono::NaiveDate::from_ymd_opt(2020, 1, 1).unwrap()
            + chrono::Days::new(self.accepted.len() as u64);
        let url = format!("{}/internal/kpi/compute-daily?tenant_id=tenant_demo_cca&date={day}", self.up.base);
        let answer = self.http.post(url).bearer_auth(&self.up.token).send().await.unwrap();
        if answer.status() == StatusCode::ACCEPTED {
            let body: Value = answer.json().await.unwrap();
            self.accepted.push(body["id"].as_str().unwrap().to_owned());
            return true;
        }
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key("retry-after"));
        false
    }

    /// Waits until jobs are acknowledged again; returns how long that took.
    async fn until_accepted(&mut self) -> Duration {
        let since = Instant::now();
        while !self.enqueue().await {
            assert!(since.elapsed() < BACK, "still refused: {}", self.up.said.lock());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        since.elapsed()
    }

    /// Waits until everything that was acknowledged is done.
    async fn until_done(&self) {
        for id in &self.accepted {
            let since = Instant::now();
            loop {
                let url = format!("{}/internal/jobs/{id}", self.up.base);
                let answer = self.http.get(url).bearer_auth(&self.up.token).send().await.unwrap();
                let body: Value = answer.error_for_status().unwrap().json().await.unwrap();
                if body["state"] == "completed" {
                    break;
                }
                assert!(since.elapsed() < 2 * BACK, "{body}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// The data directory of the server of `up` in this folder.
fn data(folder: &Path) -> PathBuf {
    let home = folder.join("home");
    let elsewhere = fs::read_to_string(home.join("postgres.location"));
    elsewhere.map_or(home, |text| PathBuf::from(text.trim())).join("postgres")
}

fn postmaster(folder: &Path) -> Option<Pid> {
    let text = fs::read_to_string(data(folder).join("postmaster.pid")).ok()?;
    Pid::from_raw(text.lines().next()?.parse().ok()?)
}

#[tokio::test]
async fn its_server_is_started_again_and_nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = up(folder.path());
    let mut client = Client::new(&up);
    for signal in [Signal::KILL, Signal::INT] {
        for _ in 0..20 {
            client.until_accepted().await;
        }
        let before = postmaster(folder.path()).unwrap();
        kill_process(before, signal).unwrap();
        // The first answers may come from connections that do not know yet.
        while postmaster(folder.path()) == Some(before) {
            client.enqueue().await;
        }
        let took = client.until_accepted().await;
        println!("{signal:?}: jobs are accepted again after {:.1} s", took.as_secs_f64());
    }
    client.until_done().await;
    let said = up.said.lock().clone();
    assert!(
        said.contains("the private Postgres ended") && said.contains("database system is shut down"),
        "{said}"
    );
    up.process.signal("TERM");
    assert!(up.process.ended().await.success());
    assert!(postmaster(folder.path()).is_none(), "the last server was stopped");
}

#[tokio::test]
async fn it_ends_with_the_end_of_the_servers_log_when_that_cannot_be_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = up(folder.path());
    fs::write(data(folder.path()).join("postgresql.conf"), "nonsense = 1\n").unwrap();
    kill_process(postmaster(folder.path()).unwrap(), Signal::KILL).unwrap();
    assert!(!up.process.ended().await.success());
    let said = || up.said.lock().clone();
    let since = Instant::now();
    while !said().contains("weirgate: ") && since.elapsed() < BACK {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let said = said();
    let last = &said[said.find("weirgate: the private Postgres").unwrap_or_else(|| panic!("{said}"))..];
    assert!(last.contains("cannot be started again") && last.contains("\"nonsense\""), "{said}");
}
