//! `migrate up` by several at once: one does, the others wait, and none fails.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use weirgate::domains;
use weirgate_private_postgres::{Options, PrivatePostgres};

use crate::support::weirgate;

fn all() -> usize {
    domains::histories().iter().map(|history| history.ups().count()).sum()
}

fn begin(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for all and returns what each says it applied.
async fn applied(children: Vec<Child>) -> Vec<usize> {
    let mut counts = Vec::new();
    for child in children {
        let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
        let (said, wrong) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{said}{wrong}");
        let count = said.split_whitespace().next().and_then(|word| word.parse().ok());
        counts.push(count.unwrap_or_else(|| panic!("{said}{wrong}")));
    }
    counts.sort_unstable();
    counts
}

#[tokio::test]
async fn on_one_empty_database_and_on_others_of_its_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::new(folder.path().join("server"));
    options.fsync = false;
    // A server of its own, as a role that migrations make is on the suite's already.
    let server = PrivatePostgres::start(options).await.unwrap();
    let mut admin = PgConnection::connect_with(&server.connect_options("postgres")).await.unwrap();
    let databases = ["one", "two", "three", "four"];
    for name in databases {
        let sql = AssertSqlSafe(format!("create database {name}"));
        sqlx::raw_sql(sql).execute(&mut admin).await.unwrap();
    }
    let up =
        |name: &str| begin(weirgate(&["migrate", "up"], folder.path()).env("DATABASE_URL", server.url(name)));
    let same: Vec<Child> = (0..4).map(|_| up("one")).collect();
    let others: Vec<Child> = databases[1..].iter().map(|name| up(name)).collect();
    assert_eq!(applied(same).await, [0, 0, 0, all()]);
    assert_eq!(applied(others).await, [all(); 3]);
    // What comes next in a deployment may come several times at once, too.
    let seed = || begin(weirgate(&["seed"], folder.path()).env("DATABASE_URL", server.url("one")));
    for child in (0..4).map(|_| seed()).collect::<Vec<_>>() {
        let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    admin.close().await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test]
async fn on_a_private_server_that_the_first_of_them_starts_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let up = |folder: &Path| begin(&mut weirgate(&["migrate", "up"], folder));
    let children = (0..4).map(|_| up(folder.path())).collect();
    assert_eq!(applied(children).await, [0, 0, 0, all()]);
}
