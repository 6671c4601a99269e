//! The domain of managed service providers, as the service takes it.

use std::sync::Arc;

use axum::extract::FromRef;
use serde::Deserialize;
use serde_json::Value;
use weirgate_identity::Tenant;
use weirgate_queue::{Job, QueueError, Result};
use weirgate_web::Web;
use weirgate_web::client_address::TrustedProxies;
use weirgate_web::dashboard::state::Dashboard;
use weirgate_web::day::parse_day;
use weirgate_web::domain::{Domain, DomainCounter, DomainRoutes, Enqueueable};
use weirgate_web::history::History;
use weirgate_web::parts::Parts;
use weirgate_web::plan::Plan;
use weirgate_web::presentation::OutputLink;
use weirgate_web::reads::Reads;

use crate::ingest::ingested_rows;
use crate::{
    App, BackfillKind, ComputeKpi, DailyPipeline, DailySlices, GenerateExport, IngestCsat,
    IngestSecurityAlerts, IngestTickets, IngestTimeEntries, MIGRATOR, ROLES, kinds, schedules,
};
use crate::{http, scopes};

/// Its name in the settings.
pub const NAME: &str = "msp";

/// What it runs, what people may ask it for, and what it answers over HTTP.
pub fn domain<S>() -> Domain<App, S>
where
    S: Clone + Send + Sync + 'static,
    Web: FromRef<S>,
    Reads: FromRef<S>,
    TrustedProxies: FromRef<S>,
    Parts: FromRef<S>,
    Dashboard: FromRef<S>,
{
    let routes = DomainRoutes { internal: http::internal, v1: http::v1, pages: http::pages::pages };
    Domain { routes, ..without_routes() }
}

fn without_routes<S: Clone + Send + Sync + 'static>() -> Domain<App, S> {
    Domain {
        kinds: kinds(),
        schedules: schedules(),
        slices: vec![Arc::new(DailySlices)],
        enqueueables: vec![
            Enqueueable::of::<IngestTickets>(&["internal", "ingest", "tickets"]),
            Enqueueable::of::<IngestTimeEntries>(&["internal", "ingest", "time_entries"]),
            Enqueueable::of::<IngestCsat>(&["internal", "ingest", "csat"]),
            Enqueueable::of::<IngestSecurityAlerts>(&["internal", "ingest", "security_alerts"]),
            Enqueueable::of::<ComputeKpi>(&["internal", "kpi", "compute-daily"]).daily(),
            Enqueueable::of::<GenerateExport>(&["internal", "exports", "generate"])
                .daily()
                .taking(&["format"]),
            Enqueueable {
                name: DailyPipeline::NAME,
                path: &["internal", "pipelines", "daily"],
                day: true,
                arguments: &[],
                plan: daily_pipeline,
            },
        ],
        backfills: BackfillKind::ALL.map(BackfillKind::describe).into(),
        not_backfilled: [
            IngestTickets::KIND,
            IngestTimeEntries::KIND,
            IngestCsat::KIND,
            IngestSecurityAlerts::KIND,
        ]
        .map(|kind| (kind, ALL_AT_ONCE))
        .into(),
        renamed: vec![("pipeline", DailyPipeline::NAME), ("pipeline_daily", DailyPipeline::NAME)],
        scopes: scopes::ALL.into(),
        links: vec![OutputLink {
            kind: GenerateExport::KIND,
            id: "export_id",
            link: "download_url",
            path: "/exports/{id}/download",
        }],
        history: Some(History { schema: NAME, migrator: &MIGRATOR }),
        counters: vec![DomainCounter {
            name: "ingest_rows",
            help: "Source rows that this process imported or rejected",
            read: || {
                let labels = |dataset, outcome| vec![("dataset", dataset), ("outcome", outcome)];
                ingested_rows().map(|(dataset, outcome, rows)| (labels(dataset, outcome), rows)).collect()
            },
        }],
        additions: Some(Arc::new(http::pages::OfSourcesAndKpis)),
        navigation: http::pages::navigation(),
        error_texts: ERROR_TEXTS.to_vec(),
        roles: vec![&ROLES],
        ..Domain::new(NAME)
    }
}

fn daily_pipeline(tenant: &Tenant, args: Value) -> Result<Plan> {
    #[derive(Deserialize)]
    struct Day {
        date: String,
    }
    let Day { date } = serde_json::from_value(args)?;
    let date = parse_day(&date).map_err(|why| QueueError::Json(serde::de::Error::custom(why)))?;
    DailyPipeline::plan(tenant, date, |job| job)
}

/// Why there is no backfill of ingests.
const ALL_AT_ONCE: &str =
    "ingests all that its source has, not one day; enqueue it once, or backfill daily_pipeline";

/// What tenants are told of the codes that its jobs fail with.
const ERROR_TEXTS: [(&str, &str); 8] = [
    (
        "all_rows_rejected",
        "The source had data, but none of it could be imported. The operators can see why.",
    ),
    ("ingest_lost", "It is no longer certain what was imported before; the source is read again."),
    ("ingest_overtaken", "A newer ingest of the same data has started and imports the rest."),
    ("source_refused", "The source system refused access to the data."),
    ("source_throttled", "The source system has limited its requests for a whole day."),
    ("source_unreadable", "The data of the source system could not be read."),
    ("unknown_time_zone", "The time zone of the tenant is not valid, so its days cannot be determined."),
    ("upstream_unavailable", "A system that the job depends on did not answer."),
];

#[cfg(test)]
mod tests {
    use weirgate_web::domain::Catalog;

    use super::*;

    #[test]
    fn every_kind_of_a_tenant_may_be_enqueued_by_name() {
        let domain = without_routes::<()>();
        let mut names: Vec<_> = domain.enqueueables.iter().map(|it| it.name).collect();
        names.retain(|name| *name != DailyPipeline::NAME);
        names.sort_unstable();
        assert_eq!(names, domain.kinds.names());
    }

    #[test]
    fn an_older_name_is_understood() {
        let catalog = Catalog::of(&[without_routes::<()>()]);
        for name in ["pipeline", "pipeline_daily", DailyPipeline::NAME] {
            assert_eq!(catalog.name_of(name), DailyPipeline::NAME);
            assert_eq!(catalog.enqueueable(name).unwrap().name, DailyPipeline::NAME);
        }
        assert_eq!(catalog.name_of("compute_kpi"), "compute_kpi");
        for kind in BackfillKind::ALL {
            assert_eq!(catalog.name_of(kind.as_str()), kind.name(), "a stored kind has its name for people");
        }
    }
}
