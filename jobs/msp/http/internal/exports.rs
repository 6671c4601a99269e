//! `POST /internal/exports/generate`.

use axum::extract::State;
use axum::response::Response;
use chrono::NaiveDate;
use utoipa::IntoParams;
use weirgate_queue::NewJob;
use weirgate_web::Web;
use weirgate_web::enqueue::{EnqueueBody, EnqueueHeaders, EnqueueParams, EnqueueRequest};
use weirgate_web::openapi::JobAccepted;
use weirgate_web::params::{Fields, FromQuery};
use weirgate_web::plan::Plan;
use weirgate_web::problem::Problem;

use crate::http::openapi::export_format;
use crate::{ExportFormat, GenerateExport};

/// Which export.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportParams {
    /// The day, in the tenant's time zone.
    #[param(example = "2026-01-31")]
    date: NaiveDate,
    /// How it is written.
    #[param(required = false, schema_with = export_format)]
    format: ExportFormat,
}

impl FromQuery for ExportParams {
    fn take(fields: &mut Fields) -> Option<Self> {
        let date = fields.required("date");
        let format = fields.get("format").unwrap_or(ExportFormat::Json);
        Some(Self { date: date?, format })
    }
}

/// Enqueues the export of a tenant's day to a file.
#[utoipa::path(
    post, path = "/internal/exports/generate", tag = "Enqueue",
    params(ExportParams, EnqueueParams, EnqueueHeaders), request_body = EnqueueBody, responses(JobAccepted)
)]
pub(crate) async fn generate_export(
    State(web): State<Web>,
    request: EnqueueRequest<ExportParams>,
) -> Result<Response, Problem> {
    request
        .run(&web, |tenant, export, adjust| {
            let (tenant_id, tenant) = (tenant.id, tenant.into());
            let job = GenerateExport { tenant, date: export.date, format: export.format };
            NewJob::of(tenant_id, &job).map(|job| Plan::Job(adjust(job)))
        })
        .await
}
