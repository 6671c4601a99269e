//! Debian's pgbouncer between the program and Postgres.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{ConnectOptions, Connection, PgConnection};
use tempfile::TempDir;
use url::Url;
use weirgate::config::Config;
use weirgate::database::Database;
use weirgate_msp::IngestTickets;
use weirgate_queue::{JobState, NewJob, PLANNER};
use weirgate_test_support::{TestDb, tenant};

use crate::support::{Process, database, weirgate};

struct Pooler {
    child: Child,
    _folder: TempDir,
    /// Of the test's database, by way of the pooler.
    url: String,
}

impl Pooler {
    /// None where pgbouncer is not installed, which is said; where `PGBOUNCER` names it, it must
    /// be.
    async fn start(db: &TestDb, settings: &str) -> Option<Self> {
        let Some(program) = program() else {
            eprintln!("skipped: pgbouncer is not installed");
            return None;
        };
        let server = Url::parse(&db.url).unwrap();
        let (host, port) = (server.host_str().unwrap(), server.port().unwrap());
        let (user, password) = (server.username(), server.password().unwrap());
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let file = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={host} port={port} user={user} password={password}\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {listen}\nunix_socket_dir =\nauth_type = any\n{settings}\n"
        );
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(program);
        command.arg("-q").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if rustix::process::geteuid().is_root() {
            // It refuses to run as root, as Postgres does.
            command.uid(65534).gid(65534).current_dir("/");
        }
        let child = command.spawn().unwrap();
        let url = db.url.replace(&format!(":{port}/"), &format!(":{listen}/"));
        let pooler = Self { child, _folder: folder, url };
        let deadline = Instant::now() + Duration::from_secs(20);
        let options =
            <PgConnection as Connection>::Options::from_url(&Url::parse(&pooler.url).unwrap()).unwrap();
        while options.clone().extra_float_digits(None).connect().await.is_err() {
            assert!(Instant::now() < deadline, "pgbouncer does not serve");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(pooler)
    }

    async fn open(&self) -> anyhow::Result<Database> {
        let get = |name: &str| (name == "DATABASE_URL").then(|| self.url.clone());
        Database::open(&Config::read(&get)?, "test").await
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("PGBOUNCER") {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "PGBOUNCER={}: there is no such file", named.display());
        return Some(named);
    }
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.map(|folder| folder.join("pgbouncer")).find(|it| it.is_file())
}

#[tokio::test]
async fn a_pool_by_session_works() {
    let db = database().await;
    let Some(mut pooler) = Pooler::start(&db, "pool_mode = session").await else { return };
    pooler.url.push_str("?options[work_mem]=7MB");
    let database = pooler.open().await.unwrap();
    for (name, value) in PLANNER.into_iter().chain([("work_mem", "7MB")]) {
        let set: String = sqlx::query_scalar("select current_setting($1)")
            .bind(name)
            .fetch_one(&database.pool)
            .await
            .unwrap();
        assert_eq!(set, value, "{name}");
    }
    database.close().await.unwrap();

    // A worker with all of its own connections: its lease's, its claims', the one it is woken on.
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("data/acme")).unwrap();
    std::fs::write(folder.path().join("data/acme/tickets.jsonl"), "").unwrap();
    let tenant = tenant(&db.pool, "acme", "UTC").await;
    let mut command = weirgate(&["worker"], folder.path());
    command.env("DATABASE_URL", &pooler.url).env("MOCK_DATA_PATH", folder.path().join("data"));
    let mut worker = Process::start(&mut command);
    let ingest = NewJob::of(tenant.id, &IngestTickets { tenant: "acme".into() }).unwrap();
    let job = db.enqueue_new(ingest).await.id;
    db.until(job, JobState::Completed).await;
    worker.signal("TERM");
    assert!(worker.ended().await.success());
}

#[tokio::test]
async fn a_pool_by_transaction_is_refused_with_what_to_do() {
    let db = database().await;
    for settings in [
        "pool_mode = transaction",
        "pool_mode = transaction\nserver_round_robin = 1",
        "pool_mode = transaction\ndefault_pool_size = 1",
        "pool_mode = statement",
    ] {
        let Some(pooler) = Pooler::start(&db, settings).await else { return };
        let error = format!("{:#}", pooler.open().await.expect_err(settings));
        assert!(error.contains("another server for each transaction"), "{settings}: {error}");
        assert!(error.contains("pool_mode = session"), "{settings}: {error}");
    }
}
