//! Whoever reads what a command writes may go away, and a disk may be full: nothing panics, and
//! what was done stays done.

use std::fs::OpenOptions;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use weirgate_web::tls::http_client;

use super::cli::Cli;
use crate::support::{Process, weirgate};

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.stderr(Stdio::piped()).spawn().unwrap().wait_with_output())
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn a_closed_pipe_ends_a_command_quietly() {
    let cli = Cli::new().await;
    cli.ok(&["seed"]).await;
    let backfill = ["backfill", "compute_kpi", "--from", "2026-01-01", "--to", "2026-01-03"];
    for args in [
        &["tenants", "list"][..],
        &["tenants", "show", "tenant_demo_cca"],
        &["jobs", "list"],
        &["jobs", "bulk", "retry", "--all", "--dry-run"],
        &["schedules", "list"],
        &["queues", "list"],
        &["limits", "show", "tenant_demo_cca"],
        &["keys", "list"],
        &["keys", "scopes"],
        &["users", "list"],
        &["failures"],
        &["migrate", "status"],
        &["completions", "bash"],
        &[&backfill[..], &["--dry-run"]].concat(),
        &backfill,
        &["backfills", "list"],
    ] {
        let mut command = cli.command(args);
        command.stdout(closed());
        let output = output(command).await;
        let said = String::from_utf8_lossy(&output.stderr);
        // As a shell shows a program that SIGPIPE has ended.
        assert_eq!((output.status.code(), &*said), (Some(141), ""), "{args:?}");
    }
    let mut help = cli.command(&["--help"]);
    help.stdout(closed());
    let output = output(help).await;
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
}

#[tokio::test]
async fn what_was_done_stays_done_though_nobody_reads_that() {
    let cli = Cli::new().await;
    cli.ok(&["seed"]).await;
    for args in [
        &["schedules", "pause", "daily_pipeline"][..],
        &["queues", "pause", "kpi"],
        &["tenants", "set", "tenant_demo_cca", "--name", "Renamed"],
        &["users", "create", "ada@example.com"],
    ] {
        let mut command = cli.command(args);
        command.stdout(closed());
        assert_eq!(output(command).await.status.code(), Some(141), "{args:?}");
    }
    let schedules = cli.ok(&["schedules", "list"]).await;
    assert!(
        schedules.lines().any(|it| it.contains("daily_pipeline") && it.contains("paused")),
        "{schedules}"
    );
    assert!(cli.ok(&["queues", "list"]).await.contains("paused"));
    assert!(cli.ok(&["tenants", "list"]).await.contains("Renamed"));
    assert!(cli.ok(&["users", "list"]).await.contains("ada@example.com"));
}

#[tokio::test]
async fn a_full_disk_is_said() {
    let cli = Cli::new().await;
    let mut command = cli.command(&["migrate", "status"]);
    command.stdout(OpenOptions::new().write(true).open("/dev/full").unwrap());
    let output = output(command).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("cannot write to standard output"), "{said}");
}

#[tokio::test]
async fn a_dry_run_ends_at_once_and_without_a_warning() {
    let cli = Cli::new().await;
    cli.ok(&["seed"]).await;
    let said =
        cli.ok(&["backfill", "compute_kpi", "--from", "2026-01-01", "--to", "2026-01-02", "--dry-run"]).await;
    assert!(said.contains("total\t4") && !said.contains("left a connection"), "{said}");
}

#[tokio::test]
async fn nobody_has_to_read_standard_error() {
    let cli = Cli::new().await;
    let mut refused = cli.command(&["jobs", "show", "00000000-0000-0000-0000-000000000000"]);
    refused.stdout(Stdio::null()).stderr(closed());
    let status = tokio::task::spawn_blocking(move || refused.status().unwrap()).await.unwrap();
    assert_eq!(status.code(), Some(1));
    // What serves goes on serving.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut up = weirgate(&["up"], cli.home.path());
    up.env("DATABASE_URL", &cli.db.url).env("WEIRGATE_LISTEN", format!("127.0.0.1:{port}"));
    let mut up = Process::of(up.stdout(closed()).stderr(closed()).spawn().unwrap());
    let url = format!("http://127.0.0.1:{port}/health/ready");
    for _ in 0..1200 {
        if http_client().build().unwrap().get(&url).send().await.is_ok_and(|it| it.status().is_success()) {
            up.signal("TERM");
            assert!(up.ended().await.success());
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it does not serve");
}
