//! The day of a tenant: the four ingests at once, then the KPIs, then the export.

use chrono::NaiveDate;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_identity::Tenant;
use weirgate_queue::{Enqueued, NewJob, Result, Workflow};
use weirgate_web::plan::Plan;

use crate::{
    ComputeKpi, ExportFormat, GenerateExport, IngestCsat, IngestSecurityAlerts, IngestTickets,
    IngestTimeEntries,
};

const EXPORT: &str = "export";
const INGESTS: [&str; 4] = ["tickets", "time_entries", "csat", "security_alerts"];

/// What a daily pipeline is made of, before it is enqueued. Its last job, the export, stands for
/// the whole.
#[derive(Debug, Clone)]
pub struct DailyPipeline {
    workflow: Workflow,
    export: NewJob,
}

impl DailyPipeline {
    /// What its workflows are called, and its schedule and its backfills.
    pub const NAME: &str = "daily_pipeline";
    /// How many jobs it is.
    pub const JOBS: u64 = INGESTS.len() as u64 + 2;

    /// The pipeline of `tenant` for `date`; `adjust` sets what all its jobs share, such as
    /// priority.
    pub fn new(tenant: &Tenant, date: NaiveDate, adjust: impl Fn(NewJob) -> NewJob) -> Result<Self> {
        let named = || tenant.into();
        let part = |job: NewJob| adjust(job.not_unique());
        // The ingests take in whatever there is: what they are for, only the workflow can say.
        let mut workflow = Workflow::named(Self::NAME).about(date.to_string());
        let ingests = [
            NewJob::of(tenant.id, &IngestTickets { tenant: named() })?,
            NewJob::of(tenant.id, &IngestTimeEntries { tenant: named() })?,
            NewJob::of(tenant.id, &IngestCsat { tenant: named() })?,
            NewJob::of(tenant.id, &IngestSecurityAlerts { tenant: named() })?,
        ];
        for (name, ingest) in INGESTS.into_iter().zip(ingests) {
            workflow.add(name, part(ingest));
        }
        let kpis = NewJob::of(tenant.id, &ComputeKpi { tenant: named(), date })?;
        let kpis = workflow.add("kpis", part(kpis));
        for ingest in INGESTS {
            kpis.after(ingest);
        }
        let export = GenerateExport { tenant: named(), date, format: ExportFormat::Json };
        let export = part(NewJob::of(tenant.id, &export)?).unique_by("pipeline_daily", &date.to_string());
        Ok(Self { workflow, export })
    }

    /// What is enqueued for a request or a command that asks for it.
    pub fn plan(tenant: &Tenant, date: NaiveDate, adjust: impl Fn(NewJob) -> NewJob) -> Result<Plan> {
        let pipeline = Self::new(tenant, date, adjust)?;
        let (last, asked) = (pipeline.last(), json!({ "kind": Self::NAME, "date": date }));
        Ok(Plan::Workflow { jobs: pipeline.into_jobs()?, last, asked })
    }

    /// Id of the last job: final when the pipeline is.
    pub fn last(&self) -> Uuid {
        self.export.id
    }

    /// All its jobs, to be enqueued with others.
    pub fn into_jobs(self) -> Result<Vec<NewJob>> {
        self.whole().into_jobs()
    }

    fn whole(self) -> Workflow {
        let Self { mut workflow, export } = self;
        workflow.add(EXPORT, export).after("kpis");
        workflow
    }
}

/// Enqueues the pipeline; while one for the same tenant and date is under way, that one is the
/// answer. The answer names the pipeline's last job.
pub async fn enqueue_daily_pipeline(
    conn: &mut PgConnection,
    pipeline: DailyPipeline,
    force: bool,
) -> Result<Enqueued> {
    let DailyPipeline { workflow, export } = pipeline;
    let export = if force { export.not_unique() } else { export };
    DailyPipeline { workflow, export }.whole().enqueue_once(conn, EXPORT).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use weirgate_identity::TenantSlug;

    #[test]
    fn it_is_as_many_jobs_as_it_says() {
        let (slug, name) = (TenantSlug("a".to_owned()), "A".to_owned());
        let tenant = Tenant { id: Uuid::nil(), slug, name, is_active: true, time_zone: "UTC".to_owned() };
        let day = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
        let jobs = DailyPipeline::new(&tenant, day, |job| job).unwrap().into_jobs().unwrap();
        assert_eq!(jobs.len() as u64, DailyPipeline::JOBS);
    }
}
