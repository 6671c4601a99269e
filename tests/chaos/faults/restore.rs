//! A database that is dumped under load and restored on another server, whose transaction ids are
//! others. The workers live on and are led there.

use std::process::{Command, Stdio};

use crate::profile::{long, times};
use crate::scene::{Plan, Scene};
use crate::server::{DATABASE, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restore() {
    restored("custom").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restore_from_plain_sql() {
    if long() {
        restored("plain").await;
    }
}

async fn restored(format: &str) {
    let source = Server::with_database().await;
    // Its ids are far ahead of those of a new server.
    source
        .sql(
            DATABASE,
            "do $$ begin for n in 1..20000 loop perform pg_current_xact_id(); commit; end loop; end $$",
        )
        .await;
    let mut scene = Scene::of(Plan::new("restore on another server"), &source).await.with_load();
    scene.headway(i64::try_from(times(200, 1000)).unwrap()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dump");
    let dump = tool(&source, "pg_dump", &["-F", format, "-f", file.to_str().unwrap(), DATABASE]);
    assert!(dump.success());
    scene.headway(50).await;
    scene.stop_load().await;
    source.lose();

    let target = Server::start();
    for role in ["weirgate_tenant", "weirgate_desk", "weirgate_super"] {
        target.sql("postgres", &format!("create role {role} nologin")).await;
    }
    target.sql("postgres", &format!("create database {DATABASE}")).await;
    let file = file.to_str().unwrap();
    let restored = match format {
        "plain" => tool(&target, "psql", &["-q", "-v", "ON_ERROR_STOP=1", "-d", DATABASE, "-f", file]),
        _ => tool(&target, "pg_restore", &["-e", "-d", DATABASE, file]),
    };
    assert!(restored.success());
    let lost = scene.lives_on(&target).await;
    let scene = scene.with_load();
    scene.headway(i64::try_from(times(200, 1000)).unwrap()).await;
    scene.end(&format!("{format} format, {lost} jobs enqueued after the dump")).await;
}

/// A client program, as whoever runs the tests: it writes and reads files of theirs.
fn tool(server: &Server, program: &str, arguments: &[&str]) -> std::process::ExitStatus {
    let port = server.port().to_string();
    Command::new(crate::cluster::cluster().programs().join(program))
        .args(["-h", "127.0.0.1", "-p", &port, "-U", "weirgate"])
        .args(arguments)
        .stdout(Stdio::null())
        .status()
        .unwrap()
}
