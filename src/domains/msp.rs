//! The domain of managed service providers.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use weirgate_identity::Tenant;
use weirgate_msp::{
    App, ComputeKpi, DailyPipeline, DailySlices, GenerateExport, IngestCsat, IngestSecurityAlerts,
    IngestTickets, IngestTimeEntries,
};
use weirgate_queue::{Job, NewJob, QueueError, Result};
use weirgate_web::day::parse_day;
use weirgate_web::domain::{Domain, Enqueueable};
use weirgate_web::plan::Plan;
use weirgate_web::presentation::OutputLink;

/// Its name in the settings.
pub(crate) const NAME: &str = "msp";

/// What it runs, and what people may ask it for.
pub(super) fn domain() -> Domain<App> {
    Domain {
        kinds: weirgate_msp::kinds(),
        schedules: weirgate_msp::schedules(),
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
                plan: a_day,
            },
        ],
        renamed: vec![("pipeline", DailyPipeline::NAME), ("pipeline_daily", DailyPipeline::NAME)],
        links: vec![OutputLink {
            kind: GenerateExport::KIND,
            id: "export_id",
            link: "download_url",
            path: "/exports/{id}/download",
        }],
        error_texts: ERROR_TEXTS.to_vec(),
        ..Domain::new(NAME)
    }
}

/// What the daily pipeline becomes; `adjust` sets what all its jobs share.
pub(crate) fn daily_pipeline(
    tenant: &Tenant,
    date: chrono::NaiveDate,
    adjust: impl Fn(NewJob) -> NewJob,
) -> Result<Plan> {
    let pipeline = DailyPipeline::new(tenant, date, adjust)?;
    let (last, asked) = (pipeline.last(), json!({ "kind": DailyPipeline::NAME, "date": date }));
    Ok(Plan::Workflow { jobs: pipeline.into_jobs()?, last, asked })
}

fn a_day(tenant: &Tenant, args: Value) -> Result<Plan> {
    #[derive(Deserialize)]
    struct Day {
        date: String,
    }
    let Day { date } = serde_json::from_value(args)?;
    let date = parse_day(&date).map_err(|why| QueueError::Json(serde::de::Error::custom(why)))?;
    daily_pipeline(tenant, date, |job| job)
}

/// What tenants are told of the codes that its jobs fail with.
const ERROR_TEXTS: [(&str, &str); 8] = [
    (
        "all_rows_rejected",
        "The source had data, and none of it could be taken in. The operators can see why.",
    ),
    ("ingest_lost", "What was taken in before is no longer known for certain; the source is read again."),
    ("ingest_overtaken", "A newer ingest of the same data has begun, and takes in what this one had left."),
    ("source_refused", "The source system refuses to hand out the data, or may not be asked for it."),
    ("source_throttled", "The source system has asked to be called less often for a whole day."),
    ("source_unreadable", "The data of the source system cannot be read now."),
    ("unknown_time_zone", "The time zone of the tenant is not known, so that its days are not either."),
    ("upstream_unavailable", "A system that the job depends on does not answer now."),
];

#[cfg(test)]
mod tests {
    use weirgate_msp::BackfillKind;

    use super::*;
    use weirgate_web::domain::Catalog;

    #[test]
    fn every_kind_of_a_tenant_may_be_enqueued_by_name() {
        let domain = domain();
        let mut names: Vec<_> = domain.enqueueables.iter().map(|it| it.name).collect();
        names.retain(|name| *name != DailyPipeline::NAME);
        names.sort_unstable();
        assert_eq!(names, domain.kinds.names());
    }

    #[test]
    fn an_older_name_is_understood() {
        let catalog = Catalog::of(&[domain()]);
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
