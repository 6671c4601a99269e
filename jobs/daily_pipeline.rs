//! The day of a tenant: the four ingests at once, then the KPIs, then the export.

use chrono::NaiveDate;
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::{Enqueued, NewJob, OnFailure, Result, enqueue_workflow};

use crate::{
    ComputeKpi, ExportFormat, GenerateExport, IngestCsat, IngestSecurityAlerts, IngestTickets,
    IngestTimeEntries, Tenant,
};

/// What a daily pipeline is made of, before it is enqueued. Its last job, the export, stands for the whole.
#[derive(Debug, Clone)]
pub struct DailyPipeline {
    /// The export: final when the pipeline is.
    pub last: NewJob,
    /// The jobs before it, in order.
    pub before: Vec<NewJob>,
}

impl DailyPipeline {
    /// The pipeline of `tenant` for `date`; `adjust` sets what all its jobs share, such as priority.
    pub fn new(tenant: &Tenant, date: NaiveDate, adjust: impl Fn(NewJob) -> NewJob) -> Result<Self> {
        let slug = || tenant.slug.clone();
        let workflow = Uuid::now_v7();
        let part = |job: NewJob| adjust(job.not_unique().workflow(workflow));
        let ingests = [
            part(NewJob::of(tenant.id, &IngestTickets { tenant: slug() })?),
            part(NewJob::of(tenant.id, &IngestTimeEntries { tenant: slug() })?),
            part(NewJob::of(tenant.id, &IngestCsat { tenant: slug() })?),
            part(NewJob::of(tenant.id, &IngestSecurityAlerts { tenant: slug() })?),
        ];
        let mut kpi = part(NewJob::of(tenant.id, &ComputeKpi { tenant: slug(), date })?);
        for ingest in &ingests {
            kpi = kpi.after(ingest.id, OnFailure::Cancel);
        }
        let export = GenerateExport { tenant: slug(), date, format: ExportFormat::Json };
        let last = part(NewJob::of(tenant.id, &export)?)
            .unique_by("pipeline_daily", &date.to_string())
            .after(kpi.id, OnFailure::Cancel);
        Ok(Self { last, before: ingests.into_iter().chain([kpi]).collect() })
    }
}

/// Enqueues the pipeline; while one for the same tenant and date is under way, that one is the answer.
/// The answer names the pipeline's last job.
pub async fn enqueue_daily_pipeline(
    conn: &mut PgConnection,
    pipeline: DailyPipeline,
    force: bool,
) -> Result<Enqueued> {
    let DailyPipeline { last, before } = pipeline;
    enqueue_workflow(conn, if force { last.not_unique() } else { last }, before).await
}
