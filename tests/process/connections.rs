//! Clients that hold connections without using them: the process stays reachable, and its worker
//! keeps its lease.
//!
//! `CONNECTIONS_S` is how long they do so; a few seconds more than a lease where it is not set.

use std::io::{BufRead, BufReader};
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use uuid::Uuid;
use weirgate_test_support::TestDb;
use weirgate_web::tls::http_client;

use crate::support::{Process, database};

const LEASE_S: u64 = 4;

/// `weirgate up` with 256 files, on a database of the test's.
struct Up {
    process: Process,
    address: String,
    token: String,
    /// Of the two demo tenants.
    keys: Vec<String>,
}

fn up(db: &TestDb, home: &std::path::Path) -> Up {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 256 && exec \"$0\" up", env!("CARGO_BIN_EXE_weirgate")]);
    command.env_clear().current_dir(home).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
        .env("WEIRGATE_HOME", home.join("home"))
        .env("MOCK_DATA_PATH", concat!(env!("CARGO_MANIFEST_DIR"), "/mock-data"))
        .env("DATABASE_URL", &db.url)
        .env("WEIRGATE_LEASE_S", LEASE_S.to_string())
        .env("WEIRGATE_LISTEN", "127.0.0.1:0");
    let mut process = Process::start(&mut command);
    let mut lines = BufReader::new(process.stderr()).lines();
    let (mut address, mut token, mut keys) = (None, None, Vec::new());
    while address.is_none() || token.is_none() {
        let line = lines.next().expect("it runs").unwrap();
        let mut words = line.split_whitespace();
        match words.next() {
            Some("API") => address = words.next().map(|url| url.replace("http://", "")),
            Some("tenant") => keys.extend(words.nth(3).map(str::to_owned)),
            Some("SERVICE_TOKEN") => token = words.next().map(str::to_owned),
            _ => {}
        }
    }
    std::thread::spawn(move || lines.for_each(drop));
    Up { process, address: address.unwrap(), token: token.unwrap(), keys }
}

/// Ways to hold a connection.
#[derive(Clone, Copy)]
enum Holds {
    /// Says nothing.
    Idle,
    /// A head that never ends.
    SlowHead,
    /// A body that never ends.
    SlowBody,
    /// Never reads its answer, which is larger than what the system buffers.
    NeverReads,
    /// Idle after an answer.
    KeptAlive,
}

/// Holds one connection after the other.
async fn hold(address: String, how: Holds) {
    loop {
        let _ = hold_one(&address, how).await;
        sleep(Duration::from_millis(100)).await;
    }
}

async fn hold_one(address: &str, how: Holds) -> std::io::Result<()> {
    let mut socket = TcpStream::connect(address).await?;
    let begin = match how {
        Holds::Idle => "",
        Holds::SlowHead => "GET /health HTTP/1.1\r\nhost: x\r\nx-slow: ",
        Holds::SlowBody => {
            "POST /dashboard/sign-in HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             content-length: 1000\r\n\r\n"
        }
        Holds::NeverReads => &"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: x\r\n\r\n".repeat(20),
        Holds::KeptAlive => "GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n",
    };
    socket.write_all(begin.as_bytes()).await?;
    match how {
        Holds::SlowHead | Holds::SlowBody => loop {
            sleep(Duration::from_millis(500)).await;
            socket.write_all(b"a").await?;
        },
        Holds::NeverReads => std::future::pending().await,
        Holds::Idle | Holds::KeptAlive => {
            let mut all = Vec::new();
            socket.read_to_end(&mut all).await?;
            Ok(())
        }
    }
}

/// The head of the answer to a request on a connection of its own.
async fn ask(address: &str, request: &str) -> std::io::Result<String> {
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(request.as_bytes()).await?;
    let mut answer = vec![0; 4096];
    let length = socket.read(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}

async fn workers(db: &TestDb) -> Vec<(Uuid, bool)> {
    sqlx::query_as("select id, lease_until > queue.now() from queue.workers")
        .fetch_all(&db.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_clients_silence_neither_health_nor_the_worker() {
    weirgate::open_files::raise_limit();
    let (db, home) = (database().await, tempfile::tempdir().unwrap());
    let Up { mut process, address, token, .. } = up(&db, home.path());
    while workers(&db).await.is_empty() {
        sleep(Duration::from_millis(50)).await;
    }
    let worker = workers(&db).await;
    let seconds = std::env::var("CONNECTIONS_S").ok().and_then(|it| it.parse().ok()).unwrap_or(3 * LEASE_S);
    let mut clients = JoinSet::new();
    for (count, how) in [
        (150, Holds::Idle),
        (200, Holds::SlowHead),
        (50, Holds::SlowBody),
        (50, Holds::NeverReads),
        (50, Holds::KeptAlive),
    ] {
        for _ in 0..count {
            clients.spawn(hold(address.clone(), how));
        }
    }
    let (begun, mut asked) = (Instant::now(), 0);
    let known = http_client().build().unwrap();
    while begun.elapsed() < Duration::from_secs(seconds) {
        let health = "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let answer =
            timeout(Duration::from_secs(10), ask(&address, health)).await.expect("it answers").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        // Who has a right credential is served too, on a connection that is kept.
        let jobs = known.get(format!("http://{address}/internal/jobs")).bearer_auth(&token);
        let jobs = jobs.timeout(Duration::from_secs(10)).send().await.expect("it answers");
        assert!(jobs.status().is_success(), "{}", jobs.status());
        asked += 1;
        sleep(Duration::from_millis(200)).await;
    }
    assert!(asked >= 5, "{asked}");
    assert_eq!(workers(&db).await, worker, "the same worker, whose lease was renewed all along");
    assert!(worker[0].1);
    // A stop waits for none of them.
    process.signal("TERM");
    assert!(timeout(Duration::from_secs(40), process.ended()).await.expect("it ends").success());
}

#[tokio::test]
async fn only_http_1_is_spoken_and_a_slow_head_is_cut_off() {
    let (db, home) = (database().await, tempfile::tempdir().unwrap());
    let Up { process: _process, address, .. } = up(&db, home.path());
    let slow = async {
        let begun = Instant::now();
        let mut socket = TcpStream::connect(&address).await.unwrap();
        socket.write_all(b"GET /health HTTP/1.1\r\nhost: ").await.unwrap();
        let mut rest = Vec::new();
        let cut = timeout(Duration::from_mins(1), socket.read_to_end(&mut rest)).await;
        assert!(cut.is_ok(), "it is cut off");
        assert!(begun.elapsed() >= Duration::from_secs(5), "and has some time before");
    };
    let http_2 = async {
        let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0";
        let answer =
            timeout(Duration::from_secs(20), ask(&address, preface)).await.unwrap().unwrap_or_default();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer:?}");
        let upgrade = "GET /health HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n\
            http2-settings: AAMAAABkAAQAAP__\r\n\r\n";
        let answer = ask(&address, upgrade).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "the upgrade is ignored: {answer}");
        let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(200_000));
        let answer = ask(&address, &long).await.unwrap_or_default();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    };
    tokio::join!(slow, http_2);
}

#[tokio::test]
async fn one_tenants_streams_leave_connections_to_others() {
    weirgate::open_files::raise_limit();
    let (db, home) = (database().await, tempfile::tempdir().unwrap());
    let up = up(&db, home.path());
    let client = http_client().build().unwrap();
    let url = |path: &str| format!("http://{}{path}", up.address);
    let path = "/internal/ingest/csat?tenant_id=tenant_demo_cca&run_at=2100-01-01T00:00:00Z";
    let job = client.post(url(path)).bearer_auth(&up.token).send().await.unwrap();
    let job: serde_json::Value = job.error_for_status().unwrap().json().await.unwrap();
    let events = format!("/v1/jobs/{}/events", job["id"].as_str().unwrap());
    let (mut streams, mut refused) = (Vec::new(), 0);
    for _ in 0..120 {
        let stream = client.get(url(&events)).bearer_auth(&up.keys[0]).send().await.unwrap();
        match stream.status().as_u16() {
            200 => streams.push(stream),
            429 => refused += 1,
            status => panic!("{status}"),
        }
    }
    assert!(streams.len() >= 10 && refused >= 60, "{} streams, {refused} refused", streams.len());
    let other = client.get(url("/v1/jobs")).bearer_auth(&up.keys[1]).send().await.unwrap();
    assert!(other.status().is_success(), "{}", other.status());
    let health =
        ask(&up.address, "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    drop(streams);
    // Its share is free again as soon as the ends of the streams are noticed.
    for round in 0.. {
        let again = client.get(url("/v1/jobs")).bearer_auth(&up.keys[0]).send().await.unwrap();
        if again.status().is_success() {
            break;
        }
        assert!(round < 100, "{}", again.status());
        sleep(Duration::from_millis(100)).await;
    }
}
