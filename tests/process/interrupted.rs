//! Commands on a private Postgres that are stopped, and commands beside each other: nothing is left
//! running, nothing is taken from under the other.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use weirgate_web::tls::http_client;

use super::up::up;
use crate::support::{Process, weirgate};

fn ok(args: &[&str], home: &Path) -> String {
    let output = weirgate(args, home).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// A home with the demo's tenants, at rest.
fn seeded() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    ok(&["migrate", "up"], home.path());
    ok(&["seed"], home.path());
    assert_nothing_runs(home.path());
    home
}

/// No process of Postgres has been left on a home; one that ends may take a moment.
fn assert_nothing_runs(home: &Path) {
    let location = std::fs::read_to_string(home.join("home/postgres.location")).unwrap_or_default();
    let folders = [home.to_string_lossy().into_owned(), location.trim().to_owned()];
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let lines = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let line = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
            Some(String::from_utf8_lossy(&line).replace('\0', " "))
        });
        let is_ours = |line: &str| folders.iter().any(|it| !it.is_empty() && line.contains(it.as_str()));
        let left: Vec<_> = lines.filter(|line| line.contains("postgres") && is_ours(line)).collect();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{left:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Reads lines until one has `words`.
fn read_until(lines: &mut BufReader<ChildStderr>, words: &str) {
    let mut said = String::new();
    while !said.contains(words) {
        assert!(lines.read_line(&mut said).unwrap() > 0, "it ended without {words:?}: {said}");
    }
}

fn waiting(home: &Path) -> Command {
    weirgate(&["enqueue", "ingest_csat", "--tenant", "tenant_demo_cca", "--wait"], home)
}

#[tokio::test]
async fn a_command_that_waits_leaves_no_postgres_when_it_is_stopped() {
    let home = seeded();
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let mut process = Process::start(&mut waiting(home.path()));
        let mut said = BufReader::new(process.stderr());
        // Why it waits is said meanwhile.
        read_until(&mut said, "no live worker serves queue \"ingest\"");
        process.signal(signal);
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        assert_eq!(process.ended().await.code(), Some(code), "{rest}");
        assert!(rest.contains("the job continues") && !rest.contains("panicked"), "{rest}");
        assert_nothing_runs(home.path());
    }
}

#[tokio::test]
async fn a_command_that_is_stopped_while_it_starts_leaves_no_postgres() {
    for milliseconds in [50, 300, 1000, 1800] {
        let home = tempfile::tempdir().unwrap();
        let mut process =
            Process::start(weirgate(&["up"], home.path()).env("WEIRGATE_LISTEN", "127.0.0.1:0"));
        let mut said = process.stderr();
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        process.signal("TERM");
        let code = process.ended().await;
        assert!(!matches!(code.code(), Some(1 | 101)), "{code} after {milliseconds} ms");
        assert_nothing_runs(home.path());
    }
}

#[tokio::test]
async fn a_second_signal_leaves_no_postgres_either() {
    let home = seeded();
    let mut first = up(home.path());
    first.process.signal("INT");
    first.process.signal("INT");
    first.process.ended().await;
    assert_nothing_runs(home.path());
}

#[tokio::test]
async fn up_works_beside_a_command_that_waits_and_does_what_that_waits_for() {
    let home = seeded();
    let mut waiting = waiting(home.path());
    let mut waiting = waiting.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    read_until(&mut BufReader::new(waiting.stderr.take().unwrap()), "no live worker");
    let mut up = up(home.path());
    let output = tokio::task::spawn_blocking(move || waiting.wait_with_output().unwrap()).await.unwrap();
    let job: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(job["state"], "completed");
    // The command had started the server, and has left.
    assert!(ok(&["jobs", "list", "--kind", "ingest_csat"], home.path()).contains("completed"));
    let url = format!("{}/internal/tenants", up.base);
    let answer = http_client().build().unwrap().get(url).bearer_auth(&up.token).send().await.unwrap();
    assert!(answer.status().is_success());
    up.process.signal("INT");
    assert!(up.process.ended().await.success());
    assert_nothing_runs(home.path());
}

#[tokio::test]
async fn what_waits_goes_on_when_up_leaves() {
    let home = seeded();
    let mut up = up(home.path());
    ok(&["queues", "pause", "ingest"], home.path());
    let mut process = Process::start(&mut waiting(home.path()));
    let mut said = BufReader::new(process.stderr());
    read_until(&mut said, "queue \"ingest\" is paused");
    up.process.signal("TERM");
    assert!(up.process.ended().await.success());
    read_until(&mut said, "no live worker");
    process.signal("TERM");
    assert_eq!(process.ended().await.code(), Some(143));
    assert_nothing_runs(home.path());
}
