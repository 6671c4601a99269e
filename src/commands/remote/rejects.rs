//! `rejects`, of a server.

use anyhow::Result;
use weirgate_msp::rejects::RejectedRow;
use weirgate_msp::sources::Dataset;

use crate::cli::Rejects;
use crate::client::{Call, Client};

pub(in crate::commands) async fn list(client: &Client, options: &Rejects) -> Result<Vec<RejectedRow>> {
    let Rejects { tenant, dataset, date, job, limit, json: _ } = options;
    let call = Call::get(["internal", "rejects"])
        .some("tenant_id", tenant.as_ref())
        .some("dataset", dataset.map(Dataset::name).as_ref())
        .some("date", date.as_ref())
        .some("job_id", job.as_ref())
        .option("tenant_id", "--tenant");
    client.list(&call, usize::try_from(*limit)?).await
}
