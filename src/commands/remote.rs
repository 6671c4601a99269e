//! What commands ask a server elsewhere for, and which of them can.

pub(super) mod audit;
pub(super) mod backfills;
pub(super) mod enqueue;
pub(super) mod failures;
pub(super) mod jobs;
pub(super) mod keys;
pub(super) mod limits;
pub(super) mod queues;
pub(super) mod rejects;
pub(super) mod schedules;
pub(super) mod tenants;
pub(super) mod workflows;

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::blocking::blocking;
use crate::cli::{Command, Remote};
use crate::client::Client;
use crate::config::Config;
use crate::signals::Stop;

/// A server that was chosen.
pub(super) struct Server {
    pub(super) client: Client,
    /// Whether it was named on the command line.
    is_named: bool,
}

impl Server {
    /// What has to be added to a command that is suggested, so that it asks the same server.
    pub(super) fn suffix(&self) -> String {
        if self.is_named { format!(" --server {}", self.client.address()) } else { String::new() }
    }
}

/// The server that a command is to ask; none where it uses the database.
///
/// # Errors
/// When the command cannot ask one, or the token is missing.
pub(super) async fn server(
    remote: Remote,
    command: &Command,
    config: &Config,
    stop: &Stop,
) -> Result<Option<Server>> {
    let Remote { server, token, token_file } = remote;
    let is_named = server.is_some();
    let has_token = token.is_some() || token_file.is_some();
    if let Some((name, why)) = only_here(command) {
        ensure!(!is_named && !has_token, "`weirgate {name}` cannot use a remote server: {why}");
        // `WEIRGATE_URL` may well be set for the commands beside it.
        return Ok(None);
    }
    let Some(address) = server.or_else(|| config.server.clone()) else {
        ensure!(!has_token, "a token needs a remote server; name it with --server or WEIRGATE_URL");
        return Ok(None);
    };
    let token = match (token, token_file) {
        (Some(token), _) => token,
        (None, Some(path)) => stop.until_told(read_token(path)).await?,
        (None, None) => config.token.clone().with_context(|| {
            format!("{address} needs its SERVICE_TOKEN: set WEIRGATE_TOKEN, or name a file that holds it with --token-file")
        })?,
    };
    let token = token.trim().to_owned();
    let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    ensure!(
        is_token,
        "the token is empty or has invalid characters; expected one line, such as the output of: openssl rand -hex 32"
    );
    Ok(Some(Server { client: Client::new(address, token)?, is_named }))
}

async fn read_token(path: PathBuf) -> Result<String> {
    let read = |path: &Path| match path.to_str() {
        Some("-") => io::read_to_string(io::stdin()).context("reading the token from standard input"),
        _ => std::fs::read_to_string(path)
            .with_context(|| format!("reading the token from {}", path.display())),
    };
    blocking(move || read(&path)).await?
}

/// The name of a command that has nothing to ask a server, and why.
fn only_here(command: &Command) -> Option<(&'static str, &'static str)> {
    let told = match command {
        Command::Demo(_) => ("demo", "it runs everything on this machine, with data of its own"),
        Command::Up => ("up", "it is a server itself; start it on the machine where it should run"),
        Command::Serve => ("serve", "it is a server itself; start it on the machine where it should run"),
        Command::Worker { .. } => (
            "worker",
            "it works on the database; start it where DATABASE_URL points to the database of the server",
        ),
        Command::Migrate(_) => (
            "migrate",
            "it changes the schema of a database; run it where DATABASE_URL points to the database of the server",
        ),
        Command::Seed { .. } => (
            "seed",
            "it creates the tenants of a file in a database; use `weirgate tenants create` and `weirgate keys create` for a remote server",
        ),
        Command::Users(_) => (
            "users",
            "a token cannot create users; run it where DATABASE_URL points to the database of the server",
        ),
        Command::Clients(_) => (
            "clients",
            "it manages who may ask for tokens, which a token cannot; run it where DATABASE_URL points to the database of the server",
        ),
        Command::Identity(_) => (
            "identity",
            "a token cannot change keys; run it where DATABASE_URL points to the database of the server",
        ),
        Command::Bench { .. } => ("bench", "it measures in a database of its own"),
        Command::BenchWorker { .. } => ("bench-worker", "it measures in a database of its own"),
        Command::BenchServer => ("bench-server", "it measures in a database of its own"),
        Command::MockData(_) => ("mock-data", "it writes files on this machine"),
        Command::Completions { .. } => ("completions", "it prints a script for the shell of this machine"),
        Command::Tenants(_)
        | Command::Keys(_)
        | Command::Enqueue(_)
        | Command::Backfill(_)
        | Command::Backfills(_)
        | Command::Jobs(_)
        | Command::Failures { .. }
        | Command::Rejects(_)
        | Command::Audit(_)
        | Command::Workflows(_)
        | Command::Schedules(_)
        | Command::Queues(_)
        | Command::Limits(_) => return None,
    };
    Some(told)
}
