//! `POST /internal/pipelines/daily`.

use axum::extract::State;
use axum::response::Response;
use weirgate_web::Web;
use weirgate_web::enqueue::{EnqueueBody, EnqueueHeaders, EnqueueRequest};
use weirgate_web::openapi::JobAccepted;
use weirgate_web::problem::Problem;

use crate::DailyPipeline;
use crate::http::internal::kpi::Day;

/// Enqueues a tenant's day as a workflow: the four ingests at once, then the KPIs, then the export.
///
/// Answers with the last job, which is final when all are; `workflow_id` leads to the others.
/// Options apply to each job.
#[utoipa::path(
    post, path = "/internal/pipelines/daily", tag = "Enqueue",
    params(EnqueueRequest::<Day>, EnqueueHeaders), request_body = EnqueueBody, responses(JobAccepted)
)]
pub(crate) async fn run_daily_pipeline(
    State(web): State<Web>,
    request: EnqueueRequest<Day>,
) -> Result<Response, Problem> {
    request.run(&web, |tenant, day, adjust| DailyPipeline::plan(tenant, day.date, adjust)).await
}
