//! The server everyone is measured on, and a database for each measurement.

use std::collections::BTreeMap;
use std::process::Stdio;

use anyhow::{Context, ensure};
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, PgPool};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::ours::Program;
use crate::peer::{self, Peer};
use crate::report::Report;
use crate::scenario::Scenario;

pub(crate) struct Server {
    /// Ends with its input.
    process: Child,
    url: String,
    pool: PgPool,
}

impl Server {
    /// The server of `DATABASE_URL`, whose role must be allowed to make databases, or a private
    /// one.
    pub(crate) async fn open(program: &Program) -> anyhow::Result<Self> {
        let mut process = program.serve()?;
        let stdout = process.stdout.take().context("its output is ours")?;
        let url = BufReader::new(stdout).lines().next_line().await?;
        let url = url.context("there is no server to measure on; see above")?;
        let pool = PgPoolOptions::new().max_connections(2).connect(&url).await?;
        Ok(Self { process, url, pool })
    }

    /// Of the database that was there before.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Measures one peer in a process and a database of its own.
    pub(crate) async fn measure(&self, scenario: Scenario, peer: &dyn Peer) -> anyhow::Result<Report> {
        let name =
            format!("peers_{}_{}_{}", scenario.name(), peer.name().replace('-', "_"), std::process::id());
        self.run(&format!("create database {name}"))
            .await
            .context("making a database for the measurement")?;
        let options = self.url.parse::<PgConnectOptions>()?.database(&name);
        let measured = measured(scenario, peer, options.to_url_lossy().as_str()).await;
        self.run(&format!("drop database if exists {name} with (force)")).await?;
        let mut report = measured?;
        report.setting("peer", peer.name());
        report.setting("version", peer::version(peer.name()));
        report.setting("with", peer.settings());
        report.machine = self.machine().await?;
        Ok(report)
    }

    async fn run(&self, sql: &str) -> anyhow::Result<()> {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&self.pool).await?;
        Ok(())
    }

    /// What the figures depend on.
    async fn machine(&self) -> anyhow::Result<BTreeMap<String, Value>> {
        let mut machine = BTreeMap::new();
        machine.insert("cores".to_owned(), std::thread::available_parallelism()?.get().into());
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        machine.insert("profile".to_owned(), profile.into());
        for setting in ["server_version", "shared_buffers", "fsync", "synchronous_commit"] {
            let value: String =
                sqlx::query_scalar("select current_setting($1)").bind(setting).fetch_one(&self.pool).await?;
            machine.insert(setting.to_owned(), value.into());
        }
        Ok(machine)
    }

    pub(crate) async fn close(mut self) -> anyhow::Result<()> {
        self.pool.close().await;
        drop(self.process.stdin.take());
        self.process.wait().await?;
        Ok(())
    }
}

/// What this program says when it measures once more, so that nothing a peer leaves running meets
/// the next one.
async fn measured(scenario: Scenario, peer: &dyn Peer, url: &str) -> anyhow::Result<Report> {
    let measuring = Command::new(std::env::current_exe().context("finding this program")?)
        .args(["measure", scenario.name(), peer.name()])
        .env("DATABASE_URL", url)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("starting a measurement")?;
    said(measuring, scenario).await
}

/// The report a process prints, or why there is none.
pub(crate) async fn said(measuring: Child, scenario: Scenario) -> anyhow::Result<Report> {
    let limit = scenario.limit();
    let ended = tokio::time::timeout(limit, measuring.wait_with_output()).await;
    let output = ended.with_context(|| format!("took more than {} s", limit.as_secs()))??;
    let complaints = String::from_utf8_lossy(&output.stderr);
    let last = complaints.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no word");
    ensure!(output.status.success(), "{}", last.trim_start_matches("peers: "));
    let answer = String::from_utf8_lossy(&output.stdout);
    let line = answer.lines().rfind(|line| line.starts_with('{')).context("no report was printed")?;
    serde_json::from_str(line).with_context(|| format!("not a report: {line}"))
}
