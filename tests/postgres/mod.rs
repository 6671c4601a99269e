//! The private Postgres with real servers. These run as root and as an ordinary user alike.

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
use weirgate::postgres::{Options, PrivatePostgres};

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
async fn a_killed_server_is_started_again() {
    let home = Home::new();
    // Without fsync, what was just committed may be lost with the server's memory.
    let options = Options::new(&home.path);
    let server = PrivatePostgres::start(options.clone()).await.unwrap();
    write_row(&server).await;
    let process = server.pid().unwrap();
    kill_process(pid(process), Signal::KILL).unwrap();
    drop(server);
    assert!(home.data().join("postmaster.pid").exists());
    let server = PrivatePostgres::start(options).await.unwrap();
    assert_ne!(server.pid(), Some(process));
    assert_eq!(read_row(&server).await, 42);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_dropped_server_stops() {
    let home = Home::new();
    let server = home.start().await;
    write_row(&server).await;
    let process = server.pid().unwrap();
    drop(server);
    // Started while the first is still stopping.
    let server = home.start().await;
    assert!(has_ended(process));
    assert_eq!(read_row(&server).await, 42);
    let process = server.pid().unwrap();
    drop(server);
    wait_for("the end of the server", || has_ended(process)).await;
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
async fn a_server_left_running_is_taken_over() {
    let home = Home::new();
    let mut helper = home.helper();
    let (process, port) = helper.server();
    let holder = format!("is in use by pid {} (weirgate)", helper.child.id());
    assert!(home.refusal().await.contains(&holder));
    drop(helper);
    assert!(!has_ended(process));
    let server = home.start().await;
    assert_eq!((server.pid(), server.port()), (Some(process), port));
    write_row(&server).await;
    server.stop().await.unwrap();
    assert!(has_ended(process));

    // One that is dropped is told to stop as well.
    let mut helper = home.helper();
    let (process, _) = helper.server();
    drop(helper);
    let server = home.start().await;
    assert_eq!(read_row(&server).await, 42);
    drop(server);
    wait_for("the end of the server", || has_ended(process)).await;
}

#[tokio::test]
async fn a_careless_server_left_running_is_replaced() {
    let home = Home::new();
    let mut helper = home.helper();
    let (process, _) = helper.server();
    drop(helper);
    let server = PrivatePostgres::start(Options::new(&home.path)).await.unwrap();
    assert!(has_ended(process));
    assert_eq!(setting(&server, "fsync").await, "on");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_start_killed_at_any_time_is_made_good() {
    let home = Home::new();
    for milliseconds in [0, 30, 200, 600, 900, 1200] {
        let helper = home.helper();
        wait_for("the lock", || home.path.join("lock").exists()).await;
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        drop(helper);
    }
    let server = home.start().await;
    write_row(&server).await;
    server.stop().await.unwrap();
    // By now the last initdb that lost its weirgate has ended too.
    let server = home.start().await;
    assert_eq!(read_row(&server).await, 42);
    let names = fs::read_dir(&home.path).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["lock", "postgres", "postgres.log", "postgres.password"]);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_pid_given_to_another_process_is_no_server() {
    let home = Home::new();
    home.start().await.stop().await.unwrap();
    let data = fs::metadata(home.data()).unwrap();
    let mut other = Command::new("sleep").arg("60").uid(data.uid()).gid(data.gid()).spawn().unwrap();
    let file = home.data().join("postmaster.pid");
    let folder = home.data();
    for text in [
        format!("{}\n{}\n1\n5432\n\n127.0.0.1\n1 1\nready   \n", other.id(), folder.display()),
        "999999999\n/x\n1\n5432\n\n127.0.0.1\n1 1\nready   \n".to_owned(),
        String::new(),
    ] {
        fs::write(&file, &text).unwrap();
        chown(&file, Some(data.uid()), Some(data.gid())).unwrap();
        let server = home.start().await;
        server.stop().await.unwrap();
    }
    other.kill().unwrap();
    other.wait().unwrap();
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
async fn a_folder_without_programs_is_named() {
    let home = Home::new();
    let mut options = home.options();
    options.bin_dir = Some(home.parent.path().to_owned());
    let said = refusal(options.clone()).await;
    assert!(said.contains("WEIRGATE_PG_BIN is ") && said.contains("has no `initdb`"), "{said}");
    options.bin_dir = Some(PathBuf::from("/usr/lib/postgresql/15/bin"));
    PrivatePostgres::start(options).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let home = Home::new();
    home.start().await.stop().await.unwrap();
    let data = home.data();

    let version = data.join("PG_VERSION");
    let right = fs::read(&version).unwrap();
    fs::write(&version, "14\n").unwrap();
    let said = home.refusal().await;
    assert!(said.contains("was made by Postgres 14") && said.contains("only 15 ("), "{said}");
    fs::write(&version, right).unwrap();

    set_mode(&data, 0o750);
    let said = home.refusal().await;
    assert!(said.contains("is 750, not 700") && said.contains("chmod 700"), "{said}");
    set_mode(&data, 0o700);

    let password = home.path.join("postgres.password");
    let right = fs::read(&password).unwrap();
    fs::remove_file(&password).unwrap();
    let said = home.refusal().await;
    assert!(said.contains("postgres.password is missing"), "{said}");
    fs::write(&password, right).unwrap();

    fs::write(data.join("postgresql.conf"), "nonsense = 1\n").unwrap();
    let said = home.refusal().await;
    assert!(said.contains("the end of its log") && said.contains("\"nonsense\""), "{said}");

    set_mode(&home.path, 0o777);
    let said = home.refusal().await;
    assert!(said.contains("may be written by everyone"), "{said}");
    set_mode(&home.path, 0o711);
}

#[tokio::test]
async fn what_is_not_a_cluster_is_left_alone() {
    let home = Home::new();
    fs::create_dir_all(home.path.join("postgres")).unwrap();
    set_mode(&home.path.join("postgres"), 0o700);
    if is_root() {
        let said = home.refusal().await;
        assert!(said.contains("belongs to uid 0"), "{said}");
    } else {
        fs::write(home.path.join("postgres/mine"), "").unwrap();
        let said = home.refusal().await;
        assert!(said.contains("not the data directory of a Postgres"), "{said}");
    }
    fs::remove_dir_all(home.path.join("postgres")).unwrap();
    std::os::unix::fs::symlink("/tmp", home.path.join("postgres")).unwrap();
    let said = home.refusal().await;
    assert!(said.contains("is not a folder"), "{said}");
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
