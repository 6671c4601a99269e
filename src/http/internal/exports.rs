//! `POST /internal/exports/generate`.

use axum::extract::State;
use axum::response::Response;
use chrono::NaiveDate;
use utoipa::IntoParams;
use weirgate_msp::{ExportFormat, GenerateExport};
use weirgate_queue::NewJob;

use crate::http::Api;
use crate::http::enqueue::{EnqueueBody, EnqueueHeaders, EnqueueParams, EnqueueRequest};
use crate::http::openapi::JobAccepted;
use crate::http::params::{Fields, FromQuery, Parse};
use crate::http::problem::Problem;
use crate::http::schemas;
use crate::plan::Plan;

/// Which export.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportParams {
    /// The day, in the tenant's time zone.
    #[param(example = "2026-01-31")]
    date: NaiveDate,
    /// How it is written.
    #[param(required = false, schema_with = schemas::export_format)]
    format: ExportFormat,
}

impl FromQuery for ExportParams {
    fn take(fields: &mut Fields) -> Option<Self> {
        let date = fields.required("date");
        let format = fields.get("format").unwrap_or(ExportFormat::Json);
        Some(Self { date: date?, format })
    }
}

impl Parse for ExportFormat {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            _ => Err("expected json or csv".to_owned()),
        }
    }
}

/// Enqueues the export of a tenant's day to a file.
#[utoipa::path(
    post, path = "/internal/exports/generate", tag = "Enqueue",
    params(ExportParams, EnqueueParams, EnqueueHeaders), request_body = EnqueueBody, responses(JobAccepted)
)]
pub(crate) async fn generate_export(
    State(api): State<Api>,
    request: EnqueueRequest<ExportParams>,
) -> Result<Response, Problem> {
    request
        .run(&api, |tenant, export, adjust| {
            let (tenant_id, tenant) = (tenant.id, tenant.into());
            let job = GenerateExport { tenant, date: export.date, format: export.format };
            NewJob::of(tenant_id, &job).map(|job| Plan::Job(adjust(job)))
        })
        .await
}
