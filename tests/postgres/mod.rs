//! The private Postgres with real servers. These run as root and as an ordinary user alike.

mod killed;
mod refused;
mod role;
mod shared;
mod watched;

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use weirgate_private_postgres::{Options, PrivatePostgres};

/// A home in a temporary folder. Whatever server is left on it is ended with it.
struct Home {
    parent: TempDir,
    path: PathBuf,
}

impl Home {
    fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        // The account that root's server runs as must get through.
        set_mode(parent.path(), 0o711);
        let path = parent.path().join("not yet there/home");
        Self { parent, path }
    }

    fn options(&self) -> Options {
        let mut options = Options::new(&self.path);
        options.fsync = false;
        options
    }

    fn data(&self) -> PathBuf {
        let elsewhere = fs::read_to_string(self.path.join("postgres.location"));
        let base = elsewhere.map_or(self.path.clone(), |text| PathBuf::from(text.trim()));
        base.join("postgres")
    }

    async fn start(&self) -> PrivatePostgres {
        PrivatePostgres::start(self.options()).await.unwrap()
    }

    /// What a start that must fail says.
    async fn refusal(&self) -> String {
        refusal(self.options()).await
    }

    /// Another process that starts the server, says its process and port, and waits.
    fn helper(&self) -> Helper {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "postgres::helper_process", "--nocapture"])
            .env("PG_TEST_HOME", "not yet there/home")
            .current_dir(self.parent.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Helper { child, lines }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let Some(pid) = text.lines().next().and_then(|line| line.parse().ok()) else {
            return;
        };
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if line.contains(&*self.data().to_string_lossy()) {
            let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::QUIT);
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

struct Helper {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Helper {
    /// The process and port of its server.
    fn server(&mut self) -> (u32, u16) {
        let line = self.lines.find_map(|line| Some(line.ok()?.split_once("STARTED ")?.1.to_owned()));
        let line = line.expect("the helper starts a server");
        let (pid, port) = line.split_once(' ').unwrap();
        (pid.parse().unwrap(), port.parse().unwrap())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(number.cast_signed()).unwrap()
}

fn has_ended(number: u32) -> bool {
    // A process that has ended but was not waited for has no command line.
    test_kill_process(pid(number)).is_err()
        || fs::read(format!("/proc/{number}/cmdline")).is_ok_and(|line| line.is_empty())
}

async fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn refusal(options: Options) -> String {
    let error = PrivatePostgres::start(options).await.expect_err("this must be refused");
    format!("{error:#}")
}

async fn connect(server: &PrivatePostgres) -> PgConnection {
    PgConnection::connect(&server.url("weirgate")).await.unwrap()
}

async fn setting(server: &PrivatePostgres, name: &str) -> String {
    let query = sqlx::query_scalar("SELECT current_setting($1)").bind(name);
    query.fetch_one(&mut connect(server).await).await.unwrap()
}

async fn write_row(server: &PrivatePostgres) {
    sqlx::raw_sql("CREATE TABLE kept (id int); INSERT INTO kept VALUES (42)")
        .execute(&mut connect(server).await)
        .await
        .unwrap();
}

async fn read_row(server: &PrivatePostgres) -> i32 {
    let query = sqlx::query_scalar("SELECT id FROM kept");
    query.fetch_one(&mut connect(server).await).await.unwrap()
}

#[tokio::test]
async fn helper_process() {
    // Run by itself it does nothing: the other tests run it as a process that they kill.
    let Some(home) = std::env::var_os("PG_TEST_HOME") else {
        return;
    };
    let mut options = Options::new(home);
    options.fsync = false;
    let server = PrivatePostgres::start(options).await.unwrap();
    println!("STARTED {} {}", server.pid().unwrap(), server.port());
    tokio::time::sleep(Duration::from_mins(2)).await;
    server.stop().await.unwrap();
}

#[tokio::test]
async fn data_survives_a_restart() {
    let home = Home::new();
    let server = home.start().await;
    write_row(&server).await;
    let (process, port) = (server.pid().unwrap(), server.port());
    server.stop().await.unwrap();
    assert!(has_ended(process));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(!home.data().join("postmaster.pid").exists());

    let before = Instant::now();
    let server = home.start().await;
    let took = before.elapsed();
    println!("started again in {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(read_row(&server).await, 42);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn the_server_is_closed_to_others() {
    let home = Home::new();
    let server = home.start().await;
    for (name, value) in [
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
        ("max_connections", "200"),
        ("shared_buffers", "128MB"),
        ("server_encoding", "UTF8"),
        ("fsync", "off"),
    ] {
        assert_eq!(setting(&server, name).await, value, "{name}");
    }
    let password = fs::read_to_string(home.path.join("postgres.password")).unwrap();
    assert_eq!(password.len(), 64);
    let port = server.port();
    assert_eq!(server.url("x"), format!("postgres://weirgate:{password}@127.0.0.1:{port}/x"));
    for name in ["postgres.password", "postgres.log", "lock"] {
        assert_eq!(mode(&home.path.join(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&home.data()), 0o700);
    assert_ne!(fs::metadata(home.data()).unwrap().uid(), 0);

    let rules = fs::read_to_string(home.data().join("pg_hba.conf")).unwrap();
    let rules = rules.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    rules.for_each(|rule| assert!(rule.ends_with("scram-sha-256"), "{rule}"));
    let wrong = server.url("weirgate").replace(&password, "wrong");
    assert!(PgConnection::connect(&wrong).await.is_err());
    let options = server.connect_options("weirgate");
    PgConnection::connect_with(&options).await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test]
async fn durable_unless_told_otherwise() {
    let home = Home::new();
    let server = PrivatePostgres::start(Options::new(&home.path)).await.unwrap();
    for name in ["fsync", "synchronous_commit", "full_page_writes"] {
        assert_eq!(setting(&server, name).await, "on", "{name}");
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_start_names_the_holder() {
    let home = Home::new();
    let mut options = home.options();
    options.command = "weirgate up".to_owned();
    options.started = "2026-11-21 05:00:00 UTC".to_owned();
    let server = PrivatePostgres::start(options).await.unwrap();
    let expected = format!(
        "{} is in use by pid {} (weirgate up, started 2026-11-21 05:00:00 UTC); stop it, or set \
         WEIRGATE_HOME to another folder",
        home.path.display(),
        std::process::id()
    );
    assert_eq!(home.refusal().await, expected);
    write_row(&server).await;

    let mut options = home.options();
    options.exclusive = false;
    let guest = PrivatePostgres::start(options.clone()).await.unwrap();
    assert_eq!((guest.pid(), guest.port()), (None, server.port()));
    assert_eq!(read_row(&guest).await, 42);
    guest.stop().await.unwrap();
    assert_eq!(read_row(&server).await, 42);
    server.stop().await.unwrap();

    // With nobody there, a guest is an owner.
    let alone = PrivatePostgres::start(options).await.unwrap();
    assert!(alone.pid().is_some());
    alone.stop().await.unwrap();
}

#[tokio::test]
async fn a_home_that_cannot_be_reached_has_its_data_elsewhere() {
    if !is_root() {
        return;
    }
    let home = Home::new();
    set_mode(home.parent.path(), 0o700);
    let server = home.start().await;
    write_row(&server).await;
    let base = server.data_dir().parent().unwrap().to_owned();
    assert!(base.starts_with("/var/lib/weirgate"), "{}", base.display());
    assert_eq!(server.data_dir(), home.data());
    server.stop().await.unwrap();

    // Neither the pointer nor the permissions change where the data is.
    fs::remove_file(home.path.join("postgres.location")).unwrap();
    let server = home.start().await;
    assert_eq!(read_row(&server).await, 42);
    server.stop().await.unwrap();
    set_mode(home.parent.path(), 0o711);
    let server = home.start().await;
    assert_eq!(read_row(&server).await, 42);
    server.stop().await.unwrap();

    chown(&base, Some(12345), None).unwrap();
    assert!(home.refusal().await.contains("should be a folder of root"));
    fs::remove_dir_all(&base).unwrap();
    assert!(home.refusal().await.contains("which is not there; put it back"));
}

#[tokio::test]
async fn a_process_that_is_being_started_does_not_keep_the_home() {
    let home = Home::new();
    let spawning = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let others: Vec<_> = (0..4)
        .map(|_| {
            let spawning = spawning.clone();
            std::thread::spawn(move || {
                while spawning.load(std::sync::atomic::Ordering::Relaxed) {
                    Command::new("true").status().unwrap();
                }
            })
        })
        .collect();
    for _ in 0..5 {
        home.start().await.stop().await.unwrap();
    }
    spawning.store(false, std::sync::atomic::Ordering::Relaxed);
    for other in others {
        other.join().unwrap();
    }
}
