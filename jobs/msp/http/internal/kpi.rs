//! `POST /internal/kpi/compute-daily`.

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

use crate::ComputeKpi;

query_params! {
    /// Which day.
    pub(crate) struct Day {
        /// The day, in the tenant's time zone.
        #[param(example = "2026-01-31")]
        pub(crate) date: NaiveDate,
    }
}

/// Enqueues the computation of a tenant's KPIs of one day.
#[utoipa::path(
    post, path = "/internal/kpi/compute-daily", tag = "Enqueue",
    params(EnqueueRequest::<Day>, EnqueueHeaders), request_body = EnqueueBody, responses(JobAccepted)
)]
pub(crate) async fn compute_daily_kpi(
    State(web): State<Web>,
    request: EnqueueRequest<Day>,
) -> Result<Response, Problem> {
    request
        .run(&web, |tenant, day, adjust| {
            let job = ComputeKpi { tenant: tenant.into(), date: day.date };
            NewJob::of(tenant.id, &job).map(|job| Plan::Job(adjust(job)))
        })
        .await
}
