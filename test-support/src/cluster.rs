//! One private Postgres for the whole run, gone when the process is, however it ends.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use sqlx::postgres::PgConnectOptions;
use weirgate_private_postgres::{Options, PrivatePostgres};

/// How to connect to a database of the suite's cluster.
pub(crate) fn options(database: &str) -> PgConnectOptions {
    cluster().connect_options(database)
}

/// The URL of a database of the suite's cluster.
pub(crate) fn url(database: &str) -> String {
    cluster().url(database)
}

/// A program of the Postgres that the suite's cluster runs.
pub fn postgres_program(name: &str) -> PathBuf {
    let pid = cluster().pid().expect("a server that was started has a process");
    std::fs::read_link(format!("/proc/{pid}/exe")).unwrap().with_file_name(name)
}

fn cluster() -> &'static PrivatePostgres {
    static CLUSTER: OnceLock<PrivatePostgres> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        // Tests come and go with runtimes of their own; this one stays.
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let cluster = runtime.block_on(start());
            std::mem::forget(runtime);
            cluster
        })
        .join()
        .expect("the suite's Postgres starts")
    })
}

async fn start() -> PrivatePostgres {
    let home = tempfile::Builder::new().prefix("weirgate-test-").tempdir().unwrap().keep();
    let mut options = Options::new(&home);
    options.fsync = false;
    let cluster = PrivatePostgres::start(options).await.expect("the suite's Postgres starts");
    let pid = cluster.pid().expect("a server that was started has a process");
    // Reads until this process is gone (SIGKILL included), then ends the server and removes its
    // data.
    let guard = format!(
        "cat >/dev/null; kill -QUIT {pid}; while kill -0 {pid} 2>/dev/null; do sleep 0.1; done; rm -rf '{}' '{}'",
        cluster.data_dir().display(),
        home.display()
    );
    let guard = Command::new("sh")
        .args(["-c", &guard])
        // A signal to the tests' own group, such as Ctrl-C, must leave it to its work.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Its end of the pipe closes with this process, not before.
    std::mem::forget(guard);
    cluster
}
