//! `enqueue`, of a server: each kind has an endpoint of its own.

use anyhow::{Result, bail};
use weirgate_msp::DailyPipeline;

use super::jobs::Enqueued;
use crate::cli::Enqueue;
use crate::client::{Call, Client};

/// How a kind is enqueued over HTTP.
struct Endpoint {
    kind: &'static str,
    path: [&'static str; 3],
    /// Whether it works on a day.
    day: bool,
    /// Its further arguments.
    arguments: &'static [&'static str],
}

const ENDPOINTS: [Endpoint; 7] = [
    ingest("ingest_tickets", "tickets"),
    ingest("ingest_time_entries", "time_entries"),
    ingest("ingest_csat", "csat"),
    ingest("ingest_security_alerts", "security_alerts"),
    Endpoint {
        kind: "compute_kpi",
        path: ["internal", "kpi", "compute-daily"],
        day: true,
        arguments: &["date"],
    },
    Endpoint {
        kind: "generate_export",
        path: ["internal", "exports", "generate"],
        day: true,
        arguments: &["date", "format"],
    },
    Endpoint {
        kind: DailyPipeline::NAME,
        path: ["internal", "pipelines", "daily"],
        day: true,
        arguments: &[],
    },
];

const fn ingest(kind: &'static str, dataset: &'static str) -> Endpoint {
    Endpoint { kind, path: ["internal", "ingest", dataset], day: false, arguments: &[] }
}

pub(in crate::commands) async fn enqueue(client: &Client, options: &Enqueue) -> Result<Enqueued> {
    client.ask(&call(options)?).await
}

/// The request for what was asked; the same words are refused as on the database.
fn call(options: &Enqueue) -> Result<Call> {
    let Enqueue { kind, tenant, date, args, run_at, priority, force, wait: _, yes: _ } = options;
    let kind = DailyPipeline::kind(kind);
    let Some(endpoint) = ENDPOINTS.iter().find(|it| it.kind == kind) else {
        let kinds: Vec<_> = ENDPOINTS.iter().map(|it| it.kind).collect();
        bail!("a server enqueues no {kind:?} for others; known kinds: {}", kinds.join(", "));
    };
    if date.is_some() && !endpoint.day {
        bail!("--date: {kind} takes no day; it takes in all that its source has");
    }
    if date.is_none() && endpoint.day && !args.iter().any(|(name, _)| name == "date") {
        bail!("{kind} needs its day, such as --date 2026-01-31");
    }
    let mut call = Call::post(endpoint.path)
        .query("tenant_id", tenant)
        .some("date", date.as_ref())
        .some("run_at", run_at.map(|at| at.to_rfc3339()).as_ref())
        .query("priority", priority)
        .query("force", force)
        .option("tenant_id", "--tenant")
        .option("date", "--date")
        .option("run_at", "--run-at")
        .option("priority", "--priority");
    for (name, value) in args {
        if !endpoint.arguments.contains(&name.as_str()) {
            bail!("--arg {name}: {kind} has no such argument");
        }
        call = call.query(name, value).option(name, format!("--arg {name}"));
    }
    Ok(call)
}

#[cfg(test)]
mod tests {
    use weirgate_msp::{
        ComputeKpi, GenerateExport, IngestCsat, IngestSecurityAlerts, IngestTickets, IngestTimeEntries,
    };
    use weirgate_queue::Job as _;

    use super::*;

    #[test]
    fn every_kind_that_works_for_a_tenant_is_known() {
        let kinds: Vec<_> = ENDPOINTS.iter().map(|it| it.kind).collect();
        let own = [
            IngestTickets::KIND,
            IngestTimeEntries::KIND,
            IngestCsat::KIND,
            IngestSecurityAlerts::KIND,
            ComputeKpi::KIND,
            GenerateExport::KIND,
            DailyPipeline::NAME,
        ];
        assert_eq!(kinds, own);
    }
}
