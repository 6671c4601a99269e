//! A Postgres that keeps its promises (fsync on) and can be restarted; gone when the tests are,
//! however they end.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use tokio::sync::OnceCell;
use uuid::Uuid;
use weirgate::{domains, schema};
use weirgate_private_postgres::{Options, PrivatePostgres};

const TEMPLATE: &str = "template_chaos";

/// Each job that the tests run writes one row here. Nothing keeps it from writing two: that would
/// be seen.
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

    /// One of a fault's own. It is watched, and started again when it ends, for as long as the
    /// test's runtime runs.
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

    /// Folder of the programs that the server is one of.
    pub(crate) fn programs(&self) -> &Path {
        &self.programs
    }

    /// The account whose data it is.
    pub(crate) fn owner(&self) -> (u32, u32) {
        let owner = std::fs::metadata(self.server.data_dir()).unwrap();
        (owner.uid(), owner.gid())
    }

    pub(crate) fn options(&self, database: &str) -> PgConnectOptions {
        self.server.connect_options(database)
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
                prepare(&self.options(TEMPLATE)).await;
            })
            .await;
    }

    /// Takes no writes from now on, or takes them again.
    pub(crate) async fn set_read_only(&self, read_only: bool) {
        let mut admin = PgConnection::connect_with(&self.options("postgres")).await.unwrap();
        let sql = format!("alter system set default_transaction_read_only = {read_only}");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await.unwrap();
        sqlx::raw_sql("select pg_reload_conf()").execute(&mut admin).await.unwrap();
    }

    /// The first process of the server is gone from one instant to the next; the others then end by
    /// themselves. It is started again.
    pub(crate) async fn kill_postmaster(&self) {
        let data = self.server.data_dir();
        let file = data.join("postmaster.pid");
        let pid = std::fs::read_to_string(&file).unwrap().lines().next().unwrap().parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        let deadline = Instant::now() + Duration::from_mins(1);
        while works_in(data) {
            assert!(Instant::now() < deadline, "processes of a server without its first one live on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // What was killed is this process's child and may not be waited for yet, so it would count
        // as living.
        std::fs::remove_file(&file).unwrap();
        self.restart_immediately().await;
    }

    /// As a crash of the server: nothing is written, all connections break, the next start
    /// recovers.
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

/// Migrates a database and makes the ledger in it.
pub(crate) async fn prepare(options: &PgConnectOptions) {
    let mut conn = PgConnection::connect_with(options).await.unwrap();
    schema::apply(&mut conn, &domains::histories()).await.unwrap();
    sqlx::raw_sql(LEDGER).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

/// Whether any process works in that folder, as those of a server do.
fn works_in(folder: &Path) -> bool {
    let folder = folder.canonicalize().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.filter_map(|it| std::fs::read_link(it.path().join("cwd")).ok()).any(|cwd| cwd == folder)
}

/// Reads until this process is gone (SIGKILL included), then ends the server, whichever it is by
/// then, and removes its data.
pub(crate) fn guard(data: &Path, home: &Path) {
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
