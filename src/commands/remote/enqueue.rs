//! `enqueue`, of a server: each kind has an endpoint of its own.

use anyhow::Result;
use weirgate_web::domain::Enqueueable;

use super::jobs::Enqueued;
use crate::cli::Enqueue;
use crate::client::{Call, Client};

pub(in crate::commands) async fn enqueue(
    client: &Client,
    asked: &Enqueueable,
    options: &Enqueue,
) -> Result<Enqueued> {
    client.ask(&call(asked, options)).await
}

/// The request for what was asked.
fn call(asked: &Enqueueable, options: &Enqueue) -> Call {
    let Enqueue { kind: _, tenant, date, args, run_at, priority, force, wait: _, yes: _ } = options;
    let call = Call::post(asked.path.iter().copied())
        .query("tenant_id", tenant)
        .some("date", date.as_ref())
        .some("run_at", run_at.map(|at| at.to_rfc3339()).as_ref())
        .query("priority", priority)
        .query("force", force)
        .option("tenant_id", "--tenant")
        .option("date", "--date")
        .option("run_at", "--run-at")
        .option("priority", "--priority");
    args.iter()
        .fold(call, |call, (name, value)| call.query(name, value).option(name, format!("--arg {name}")))
}
