//! `backfill` and `backfills`, of a server.

use std::time::Duration;

use anyhow::Result;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::cli::Backfill as Options;
use crate::client::{Call, Client};
use crate::commands::backfill_shown::{Backfill, Resource};

/// How long somebody who watches goes on while the server is away.
const PATIENCE: Duration = Duration::from_mins(10);

/// What a backfill would do.
#[derive(Deserialize)]
pub(in crate::commands) struct DryRun {
    pub(in crate::commands) future_days: u64,
    pub(in crate::commands) tenants: Vec<Slices>,
}

/// Slices of a tenant that there is something to do for.
#[derive(Deserialize)]
pub(in crate::commands) struct Slices {
    pub(in crate::commands) tenant: String,
    pub(in crate::commands) slices: u64,
}

/// A backfill that was made.
#[derive(Deserialize)]
pub(in crate::commands) struct Made {
    pub(in crate::commands) id: Uuid,
    pub(in crate::commands) future_days: u64,
}

pub(in crate::commands) async fn count(client: &Client, options: &Options) -> Result<DryRun> {
    client.ask(&call(options)).await
}

pub(in crate::commands) async fn create(client: &Client, options: &Options) -> Result<Made> {
    client.ask(&call(options)).await
}

fn call(options: &Options) -> Call {
    let tenants = if options.tenants == ["all"] { json!("all") } else { json!(options.tenants) };
    let body = json!({
        "kind": options.kind.stored, "tenants": tenants, "from": options.from, "to": options.to,
        "order": options.order, "reprocess": options.reprocess, "share": options.share,
        "max_running": options.max_running, "priority": options.priority, "dry_run": options.dry_run,
    });
    let fields = ["tenants", "from", "to", "order", "reprocess", "share", "priority"];
    let call = Call::post(["internal", "backfills"]).json(body).option("max_running", "--max-running");
    fields.into_iter().fold(call, |call, field| call.option(field, format!("--{field}")))
}

pub(in crate::commands) async fn list(client: &Client, limit: usize) -> Result<Vec<Backfill>> {
    let found: Vec<Resource> = client.list(&Call::get(["internal", "backfills"]), limit).await?;
    Ok(found.into_iter().map(Backfill::from).collect())
}

pub(in crate::commands) async fn show(client: &Client, id: Uuid) -> Result<Backfill> {
    let call = Call::get(["internal", "backfills", &id.to_string()]).patient(PATIENCE);
    client.ask::<Resource>(&call).await.map(Backfill::from)
}

/// The backfill after `verb` was done to it.
pub(in crate::commands) async fn act(client: &Client, id: Uuid, verb: &str) -> Result<Backfill> {
    let call = Call::post(["internal", "backfills", &id.to_string(), verb]);
    client.ask::<Resource>(&call).await.map(Backfill::from)
}
