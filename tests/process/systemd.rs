//! What a service manager is told, over the socket that it names.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use tempfile::TempDir;
use weirgate_test_support::TestDb;

use crate::support::{Process, database, weirgate};

/// A service manager with one service.
struct Manager {
    folder: TempDir,
    socket: UnixDatagram,
    db: TestDb,
}

impl Manager {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self { folder, socket, db: database().await }
    }

    fn start(&self, role: &str) -> Process {
        let mut command = weirgate(&[role], self.folder.path());
        command.env("DATABASE_URL", &self.db.url).env("NOTIFY_SOCKET", self.folder.path().join("notify"));
        command.env("SERVICE_TOKEN", "0123456789abcdef").env("WEIRGATE_LISTEN", "127.0.0.1:0");
        Process::start(command.env("WATCHDOG_USEC", "200000").env("WEIRGATE_GRACE_S", "100"))
    }

    /// The next thing it is told.
    fn told(&self) -> String {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).expect("it says something");
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    fn until_told(&self, what: &str) -> String {
        loop {
            let told = self.told();
            if told.starts_with(what) {
                return told;
            }
            assert_eq!(told, "WATCHDOG=1\n", "and not {what}");
        }
    }

    /// It says that it lives, and then that it stops, and for how long at most.
    async fn stop(&self, mut process: Process) {
        self.until_told("WATCHDOG=1");
        self.until_told("WATCHDOG=1");
        process.signal("TERM");
        assert_eq!(self.until_told("STOPPING=1"), "STOPPING=1\nEXTEND_TIMEOUT_USEC=115000000\n");
        assert!(process.ended().await.success());
    }
}

#[tokio::test]
async fn a_worker_is_ready_when_it_has_registered() {
    let manager = Manager::new().await;
    let worker = manager.start("worker");
    assert_eq!(manager.told(), "READY=1\n");
    let workers: i64 =
        sqlx::query_scalar("select count(*) from queue.workers").fetch_one(&manager.db.pool).await.unwrap();
    assert_eq!(workers, 1);
    manager.stop(worker).await;
}

#[tokio::test]
async fn an_api_is_ready_when_it_serves() {
    let manager = Manager::new().await;
    let api = manager.start("serve");
    assert_eq!(manager.told(), "READY=1\n");
    manager.stop(api).await;
}

#[tokio::test]
async fn what_cannot_start_is_never_ready() {
    let manager = Manager::new().await;
    sqlx::raw_sql("drop table msp._sqlx_migrations").execute(&manager.db.pool).await.unwrap();
    for role in ["worker", "serve"] {
        assert!(!manager.start(role).ended().await.success());
    }
    manager.socket.set_nonblocking(true).unwrap();
    assert!(manager.socket.recv(&mut [0; 16]).is_err(), "nothing was said");
}
