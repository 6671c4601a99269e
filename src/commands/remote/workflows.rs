//! `workflows`, of a server.

use crate::operations::WorkflowRetry;
use anyhow::Result;
use serde::Deserialize;
use uuid::Uuid;
use weirgate_queue::JobState;

use crate::cli::ListWorkflows;
use crate::client::{Call, Client, Refused};
use crate::commands::workflows::{Row, Workflow};

/// What a retry has begun.
#[derive(Deserialize)]
struct Retried {
    retried: u64,
    refused: u64,
    bulk_job_id: Option<Uuid>,
    replayed: bool,
}

pub(in crate::commands) async fn list(client: &Client, options: &ListWorkflows) -> Result<Vec<Row>> {
    let ListWorkflows { tenant, name, date, state, limit } = options;
    let call = Call::get(["internal", "workflows"])
        .some("tenant_id", tenant.as_ref())
        .some("name", name.as_ref())
        .some("date", date.as_ref())
        .option("tenant_id", "--tenant")
        .option("name", "--name");
    if state.is_empty() {
        return client.list(&call, (*limit).into()).await;
    }
    // A server lists those of one state at a time.
    let mut rows: Vec<Row> = Vec::new();
    for state in state {
        rows.extend(client.list(&call.clone().query("state", state), (*limit).into()).await?);
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.id));
    rows.truncate((*limit).into());
    Ok(rows)
}

pub(in crate::commands) async fn show(client: &Client, id: Uuid) -> Result<Workflow> {
    client.ask(&Call::get(["internal", "workflows", &id.to_string()]).query("limit", &500)).await
}

pub(in crate::commands) async fn retry_failed(client: &Client, id: Uuid) -> Result<WorkflowRetry> {
    let call = Call::post(["internal", "workflows", &id.to_string(), "retry-failed"]);
    match client.ask(&call).await {
        Ok(Retried { bulk_job_id: Some(job), .. }) => Ok(WorkflowRetry::Begun(job)),
        // It was retried before, and nothing has failed since.
        Ok(Retried { retried: 0, refused: 0, replayed: true, .. }) => Ok(WorkflowRetry::NothingFailed),
        Ok(Retried { retried, refused, .. }) => Ok(WorkflowRetry::Done { retried, refused }),
        Err(error) => match error.downcast::<Refused>() {
            Ok(refused) if refused.code == "nothing_failed" => Ok(WorkflowRetry::NothingFailed),
            Ok(refused) => Err(refused.into()),
            Err(error) => Err(error),
        },
    }
}

/// How many jobs were not over.
pub(in crate::commands) async fn cancel(client: &Client, id: Uuid) -> Result<u64> {
    let before = show(client, id).await?;
    client.tell(&Call::post(["internal", "workflows", &id.to_string(), "cancel"])).await?;
    let live = JobState::ALL.into_iter().filter(|state| !state.is_final());
    let count = |state: JobState| before.counts.get(state.as_str()).copied().unwrap_or(0);
    Ok(live.map(count).sum::<i64>().unsigned_abs())
}
