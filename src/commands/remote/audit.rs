//! `audit`, of a server.

use anyhow::Result;

use crate::cli::Audit;
use crate::client::{Call, Client};
use crate::http::internal::audit::AuditEntry;

pub(in crate::commands) async fn list(client: &Client, options: &Audit) -> Result<Vec<AuditEntry>> {
    let Audit { actor, action, target, tenant, via, from, to, limit, json: _ } = options;
    let call = Call::get(["internal", "audit"])
        .some("actor", actor.as_ref())
        .some("action", action.as_ref())
        .some("target", target.as_ref())
        .some("tenant_id", tenant.as_ref())
        .some("via", via.as_ref())
        .some("from", from.map(|at| at.to_rfc3339()).as_ref())
        .some("to", to.map(|at| at.to_rfc3339()).as_ref())
        .option("tenant_id", "--tenant");
    client.list(&call, usize::try_from(*limit)?).await
}
