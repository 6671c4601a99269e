//! A Postgres of one fault's own, which may be copied, promoted and lost. Whoever connects is
//! trusted; it listens on 127.0.0.1 alone and ends with the tests.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::cluster::{Cluster, cluster, guard, prepare};

/// Who owns the shared server's data owns this one's too, and its databases have the same owner.
const OWNER: &str = "weirgate";

/// The database that a fault is about.
pub(crate) const DATABASE: &str = "chaos";

/// What does not depend on the fault.
const SETTINGS: &str = "-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=100 \
    -c shared_buffers=64MB -c wal_level=logical -c timezone=UTC";

pub(crate) struct Server {
    cluster: &'static Cluster,
    home: PathBuf,
    port: u16,
}

impl Server {
    /// An empty one, not started.
    fn new() -> Self {
        let cluster = cluster();
        let home = tempfile::Builder::new().prefix("weirgate-chaos-").tempdir().unwrap().keep();
        let (uid, gid) = cluster.owner();
        if rustix::process::geteuid().is_root() {
            chown(&home, Some(uid), Some(gid)).unwrap();
        }
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let server = Self { cluster, home, port };
        guard(&server.data(), &server.home);
        server
    }

    /// With nothing in it, running.
    pub(crate) fn start() -> Self {
        let server = Self::new();
        server.run(
            "initdb",
            &["-A", "trust", "-U", OWNER, "-E", "UTF8", "--locale=C", "-D", &server.data_text()],
        );
        server.go("");
        server
    }

    /// With the migrated database that faults use.
    pub(crate) async fn with_database() -> Self {
        let server = Self::start();
        server.sql("postgres", &format!("create database {DATABASE}")).await;
        prepare(&server.options(DATABASE)).await;
        server
    }

    /// A copy of its files as they are now, not started.
    pub(crate) fn copy(&self, follows: bool) -> Self {
        let copy = Self::new();
        let source = format!("host=127.0.0.1 port={} user={OWNER}", self.port);
        let data = copy.data_text();
        let mut arguments = vec!["-D", data.as_str(), "-d", source.as_str(), "-X", "stream", "-c", "fast"];
        if follows {
            arguments.push("-R");
        }
        copy.run("pg_basebackup", &arguments);
        copy
    }

    /// Starts it, with settings beside the usual ones.
    pub(crate) fn go(&self, settings: &str) {
        let options = format!("-p {} {SETTINGS} {settings}", self.port);
        let log = self.home.join("server.log").display().to_string();
        self.run("pg_ctl", &["start", "-w", "-t", "60", "-D", &self.data_text(), "-l", &log, "-o", &options]);
    }

    /// As by a loss of power: nothing is written, and it does not come back.
    pub(crate) fn lose(&self) {
        self.run("pg_ctl", &["stop", "-m", "immediate", "-D", &self.data_text()]);
    }

    /// A standby takes writes from now on.
    pub(crate) async fn promote(&self) {
        self.run("pg_ctl", &["promote", "-w", "-D", &self.data_text()]);
        self.until("not pg_is_in_recovery()").await;
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    fn data_text(&self) -> String {
        self.data().display().to_string()
    }

    pub(crate) fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username(OWNER)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
    }

    pub(crate) async fn sql(&self, database: &str, sql: &str) {
        let mut conn = PgConnection::connect_with(&self.options(database)).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
    }

    /// Waits until a condition holds in its database.
    pub(crate) async fn until(&self, condition: &str) {
        let deadline = Instant::now() + Duration::from_mins(1);
        let sql = format!("select {condition}");
        loop {
            let holds = async {
                let mut conn = PgConnection::connect_with(&self.options(DATABASE)).await?;
                sqlx::query_scalar(AssertSqlSafe(sql.clone())).fetch_one(&mut conn).await
            };
            match holds.await {
                Ok(true) => return,
                answer => assert!(Instant::now() < deadline, "{condition} does not hold: {answer:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Runs a program of Postgres', as the account that may.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(self.cluster.programs().join(program));
        command.args(arguments).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
        // A server must not hold the pipes of the tests open.
        command.stderr(fs::File::create(self.home.join(format!("{program}.log"))).unwrap());
        command.process_group(0);
        if rustix::process::geteuid().is_root() {
            let (uid, gid) = self.cluster.owner();
            command.uid(uid).gid(gid);
        }
        let status = command.status().unwrap();
        let said = || {
            let logs = [format!("{program}.log"), "server.log".to_owned()].map(|name| self.home.join(name));
            logs.map(|log| fs::read_to_string(log).unwrap_or_default()).concat()
        };
        assert!(status.success(), "{program} {arguments:?}: {}", said());
    }
}
