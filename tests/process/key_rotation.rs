//! Two hosts serve while the secret key and the signing keys change, and nobody is refused.

use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use weirgate_identity::accounts::{self, New};
use weirgate_identity::memberships;
use weirgate_test_support::{TestDb, tenant};
use weirgate_web::tls::http_client;

use crate::support::{Process, database, weirgate};

const BEFORE: &str = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8";
const AFTER: &str = "7902699be42c8a8e46fbbb4501726517e86b22c56a189f7625a6da49081b2451";
const PASSWORD: &str = "a long password";

struct Scene {
    db: TestDb,
    home: TempDir,
    /// Where each host listens, for as long as it does.
    hosts: Arc<Mutex<[Option<String>; 2]>>,
    processes: [Option<Process>; 2],
}

/// `WEIRGATE_SECRET_KEY`, and the one that reads on.
type Keys = (&'static str, Option<&'static str>);

impl Scene {
    fn command(&self, args: &[&str], (key, old): Keys) -> std::process::Command {
        let mut command = weirgate(args, self.home.path());
        command
            .env("DATABASE_URL", &self.db.url)
            .env("WEIRGATE_LISTEN", "127.0.0.1:0")
            .env("WEIRGATE_PUBLIC_URL", "https://weirgate.example")
            .env("WEIRGATE_REQUESTS_PER_S", "100000")
            .env("WEIRGATE_REQUEST_BURST", "100000")
            .env("SERVICE_TOKEN", "0123456789abcdef")
            .env("WEIRGATE_LOG_FORMAT", "json")
            .env("WEIRGATE_SECRET_KEY", key);
        if let Some(old) = old {
            command.env("WEIRGATE_SECRET_KEY_OLD", old);
        }
        command
    }

    /// Starts a host anew, with these keys; the other one serves meanwhile.
    async fn restart(&mut self, host: usize, keys: Keys) {
        self.hosts.lock()[host] = None;
        if let Some(mut process) = self.processes[host].take() {
            process.signal("TERM");
            assert!(process.ended().await.success());
        }
        let mut process = Process::start(&mut self.command(&["serve"], keys));
        let mut lines = BufReader::new(process.stderr()).lines();
        let mut said = String::new();
        let base = loop {
            let Some(line) = lines.next() else { panic!("it does not serve: {said}") };
            let line = line.unwrap();
            said += &line;
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            if let Some(address) = line["address"].as_str().or(line["fields"]["address"].as_str()) {
                break format!("http://{address}");
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        self.hosts.lock()[host] = Some(base);
        self.processes[host] = Some(process);
    }

    async fn run(&self, args: &[&str], keys: Keys) -> String {
        let mut command = tokio::process::Command::from(self.command(args, keys));
        let output = command.stdout(std::process::Stdio::piped()).output().await.unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Somebody signs in, uses the token on the other host, and refreshes it, again and again.
    fn load(&self, number: usize, load: &Arc<Load>) -> JoinHandle<()> {
        let (hosts, load) = (self.hosts.clone(), load.clone());
        tokio::spawn(async move {
            let user = Client { hosts, load: load.clone(), next: number };
            user.come_and_go(number).await;
        })
    }
}

#[derive(Default)]
struct Load {
    over: AtomicBool,
    answered: AtomicU64,
    refused: Mutex<Vec<String>>,
}

/// Somebody behind a proxy that goes to the next host where one does not answer.
struct Client {
    hosts: Arc<Mutex<[Option<String>; 2]>>,
    load: Arc<Load>,
    next: usize,
}

impl Client {
    async fn come_and_go(mut self, number: usize) {
        let email = format!("member{number}@acme.example");
        while !self.load.over.load(Ordering::Relaxed) {
            let login = json!({ "email": email, "password": PASSWORD });
            let Some(mut tokens) = self.ask("/api/v1/auth/login", Some(login), None).await else { return };
            for _ in 0..10 {
                let access = tokens["token"].as_str().unwrap().to_owned();
                if self.ask("/api/v1/auth/me", None, Some(&access)).await.is_none() {
                    return;
                }
                let refresh = json!({ "refreshToken": tokens["refreshToken"] });
                let Some(next) = self.ask("/api/v1/auth/refresh", Some(refresh), None).await else { return };
                tokens = next;
            }
        }
    }

    /// The answer of the next host that gives one; none where it refuses, or the test is over.
    async fn ask(&mut self, path: &str, body: Option<Value>, token: Option<&str>) -> Option<Value> {
        let begun = Instant::now();
        loop {
            self.next += 1;
            let host = self.hosts.lock()[self.next % 2].clone();
            let Some(host) = host else { continue };
            let client = http_client().pool_max_idle_per_host(0).build().unwrap();
            let call = match &body {
                Some(body) => client.post(format!("{host}{path}")).json(body),
                None => client.get(format!("{host}{path}")),
            };
            let call = token.map_or_else(
                || call.try_clone().unwrap(),
                |token| call.try_clone().unwrap().bearer_auth(token),
            );
            let Ok(answer) = call.send().await else {
                assert!(begun.elapsed() < Duration::from_secs(20), "no host answers");
                continue;
            };
            let status = answer.status();
            let Ok(text) = answer.text().await else { continue };
            if status.is_success() {
                self.load.answered.fetch_add(1, Ordering::Relaxed);
                return Some(serde_json::from_str(&text).unwrap());
            }
            self.load.refused.lock().push(format!("{path}: {status} {text}"));
            return None;
        }
    }
}

async fn scene() -> Scene {
    let db = database().await;
    let acme = tenant(&db.pool, "acme", "UTC").await.id;
    let mut conn = db.pool.acquire().await.unwrap();
    for number in 0..3 {
        let email = format!("member{number}@acme.example");
        let new = New { email: &email, password: Some(PASSWORD), ..New::default() };
        let account = accounts::create(&mut conn, new).await.unwrap().id;
        memberships::give(&mut conn, account, "msp", Some(acme), "reader").await.unwrap();
    }
    drop(conn);
    let hosts = Arc::new(Mutex::new([None, None]));
    Scene { db, home: tempfile::tempdir().unwrap(), hosts, processes: [None, None] }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_refused_while_the_secret_key_and_the_signing_keys_change() {
    let mut scene = scene().await;
    for host in [0, 1] {
        scene.restart(host, (BEFORE, None)).await;
    }
    let load = Arc::new(Load::default());
    let clients: Vec<_> = (0..3).map(|number| scene.load(number, &load)).collect();
    let some_more = async || {
        let before = load.answered.load(Ordering::Relaxed);
        let begun = Instant::now();
        while load.answered.load(Ordering::Relaxed) < before + 30 && load.refused.lock().is_empty() {
            assert!(begun.elapsed() < Duration::from_mins(1), "the hosts answer nothing more");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    some_more().await;
    // Every host reads the next key before any host seals with it.
    for keys in [(BEFORE, Some(AFTER)), (AFTER, Some(BEFORE))] {
        for host in [0, 1] {
            scene.restart(host, keys).await;
            some_more().await;
        }
        scene.run(&["identity", "keys", "rotate"], keys).await;
        some_more().await;
    }
    let said = scene.run(&["identity", "reseal"], (AFTER, Some(BEFORE))).await;
    assert!(said.contains("WEIRGATE_SECRET_KEY_OLD can go"), "{said}");
    for host in [0, 1] {
        scene.restart(host, (AFTER, None)).await;
        some_more().await;
    }
    scene.run(&["identity", "keys", "rotate"], (AFTER, None)).await;
    some_more().await;
    load.over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(*load.refused.lock(), [""; 0], "of {}", load.answered.load(Ordering::Relaxed));
    let keys = scene.run(&["identity", "keys", "list"], (AFTER, None)).await;
    assert!(keys.lines().filter(|line| line.contains("verifying")).count() >= 3, "{keys}");
}
