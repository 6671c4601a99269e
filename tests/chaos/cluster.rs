//! A Postgres that keeps its promises (fsync on) and can be restarted; gone when the tests are, however they end.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use tokio::sync::OnceCell;
use uuid::Uuid;
use weirgate::database::MIGRATIONS;
use weirgate::postgres::{Options, PrivatePostgres};

const TEMPLATE: &str = "template_chaos";

/// Each job that the tests run writes one row here. Nothing keeps it from writing two: that would be seen.
const LEDGER: &str = "create table ledger (
    job uuid not null, run bigint not null, attempt smallint not null, lease uuid, worker text not null,
    at timestamptz not null
);
create index on ledger (job)";

/// The server that all faults share, one after the other.
pub(crate) fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        // Tests come and go with runtimes of their own; this one stays.
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let cluster = runtime.block_on(Cluster::start());
            std::mem::forget(runtime);
            cluster
        })
        .join()
        .expect("the tests' Postgres starts")
    })
}

pub(crate) struct Cluster {
    server: PrivatePostgres,
    /// Folder of the programs that the server is one of.
    programs: PathBuf,
    template: OnceCell<()>,
}

impl Cluster {
    async fn start() -> Self {
        let home = tempfile::Builder::new().prefix("weirgate-chaos-").tempdir().unwrap().keep();
        Self::start_in(home).await
    }

    /// One of a fault's own. It is watched, and started again when it ends, for as long as the test's runtime runs.
    pub(crate) async fn of_its_own(home: PathBuf) -> &'static Self {
        Box::leak(Box::new(Self::start_in(home).await))
    }

    async fn start_in(home: PathBuf) -> Self {
        let server = PrivatePostgres::start(Options::new(&home)).await.expect("the tests' Postgres starts");
        let pid = server.pid().expect("a server that was started has a process");
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
        guard(server.data_dir(), &home);
        Self { server, programs: program.parent().unwrap().to_owned(), template: OnceCell::new() }
    }

    pub(crate) fn data_dir(&self) -> &Path {
        self.server.data_dir()
    }

    /// Its process, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.server.pid()
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.port()
    }

    pub(crate) fn options(&self, database: &str) -> PgConnectOptions {
        self.server.connect_options(database)
    }

    /// The URL of a database by another port, where a proxy listens.
    pub(crate) fn url_through(&self, port: u16, database: &str) -> String {
        let from = format!(":{}/", self.port());
        format!("{}?sslmode=disable", self.server.url(database).replace(&from, &format!(":{port}/")))
    }

    /// A migrated database with a ledger.
    pub(crate) async fn database(&self) -> (String, PgPool) {
        self.template().await;
        let name = format!("chaos_{}", Uuid::now_v7().simple());
        let mut admin = PgConnection::connect_with(&self.options("postgres")).await.unwrap();
        let sql = format!("create database {name} template {TEMPLATE}");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await.unwrap();
        let pool = PgPoolOptions::new().max_connections(6).acquire_timeout(Duration::from_secs(10));
        let pool = pool.connect_with(self.options(&name)).await.unwrap();
        (name, pool)
    }

    /// With it goes what a restart has to sync.
    pub(crate) async fn drop_database(&self, name: &str) {
        let mut admin = PgConnection::connect_with(&self.options("postgres")).await.unwrap();
        let sql = AssertSqlSafe(format!("drop database {name} with (force)"));
        sqlx::raw_sql(sql).execute(&mut admin).await.unwrap();
    }

    async fn template(&self) {
        self.template
            .get_or_init(|| async {
                let mut admin = PgConnection::connect_with(&self.options("postgres")).await.unwrap();
                let sql = AssertSqlSafe(format!("create database {TEMPLATE}"));
                sqlx::raw_sql(sql).execute(&mut admin).await.unwrap();
                let mut conn = PgConnection::connect_with(&self.options(TEMPLATE)).await.unwrap();
                MIGRATIONS.run_direct(None, &mut conn, false).await.unwrap();
                sqlx::raw_sql(LEDGER).execute(&mut conn).await.unwrap();
                conn.close().await.unwrap();
            })
            .await;
    }

    /// As a crash of the server: nothing is written, all connections break, the next start recovers.
    pub(crate) async fn restart_immediately(&self) {
        let data = self.server.data_dir();
        let owner = std::fs::metadata(data).unwrap();
        let mut command = tokio::process::Command::new(self.programs.join("pg_ctl"));
        command.args(["restart", "-m", "immediate", "-t", "120", "-D"]).arg(data);
        command.arg("-l").arg(data.join("restarts.log"));
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.process_group(0);
        if rustix::process::geteuid().is_root() {
            command.uid(owner.uid()).gid(owner.gid());
        }
        let status = tokio::time::timeout(Duration::from_mins(2), command.status()).await;
        assert!(status.expect("the restart ends").unwrap().success(), "pg_ctl restart");
    }
}

/// Reads until this process is gone (SIGKILL included), then ends the server, whichever it is by then, and removes its
/// data.
fn guard(data: &Path, home: &Path) {
    let script = r#"
        cat >/dev/null
        for turn in 1 2 3 4 5 6; do
            pid=$(head -n 1 "$0/postmaster.pid" 2>/dev/null)
            if [ -n "$pid" ] && grep -qaF -- "$0" "/proc/$pid/cmdline"; then kill -QUIT "$pid"; fi
            sleep 0.5
        done
        rm -rf "$0" "$1""#;
    let guard = Command::new("sh")
        .args(["-c", script])
        .args([data, home])
        // A signal to the tests' own group, such as Ctrl-C, must leave it to its work.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Its end of the pipe closes with this process, not before.
    std::mem::forget(guard);
}
