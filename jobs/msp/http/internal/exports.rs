//! `POST /internal/exports/generate`.

use axum::extract::State;
use axum::response::Response;
use chrono::NaiveDate;
use weirgate_queue::NewJob;
use weirgate_web::Web;
use weirgate_web::enqueue::{EnqueueBody, EnqueueHeaders, EnqueueRequest};
use weirgate_web::openapi::JobAccepted;
use weirgate_web::plan::Plan;
use weirgate_web::problem::Problem;
use weirgate_web::query_params;

use crate::http::openapi::export_format;
use crate::{ExportFormat, GenerateExport};

query_params! {
    /// Which export.
    pub(crate) struct ExportParams {
        /// The day, in the tenant's time zone.
        #[param(example = "2026-01-31")]
        date: NaiveDate,
        /// How it is written.
        #[param(schema_with = export_format)]
        format: Option<ExportFormat>,
    }
}

/// Enqueues the export of a tenant's day to a file.
#[utoipa::path(
    post, path = "/internal/exports/generate", tag = "Enqueue",
    params(EnqueueRequest::<ExportParams>, EnqueueHeaders), request_body = EnqueueBody, responses(JobAccepted)
)]
pub(crate) async fn generate_export(
    State(web): State<Web>,
    request: EnqueueRequest<ExportParams>,
) -> Result<Response, Problem> {
    request
        .run(&web, |tenant, export, adjust| {
            let (tenant_id, tenant) = (tenant.id, tenant.into());
            let job = GenerateExport {
                tenant,
                date: export.date,
                format: export.format.unwrap_or(ExportFormat::Json),
            };
            NewJob::of(tenant_id, &job).map(|job| Plan::Job(adjust(job)))
        })
        .await
}
