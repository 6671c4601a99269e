//! `POST /internal/ingest/{dataset}`.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use weirgate_queue::NewJob;
use weirgate_web::Web;
use weirgate_web::enqueue::{EnqueueBody, EnqueueHeaders, EnqueueRequest};
use weirgate_web::extract::Path;
use weirgate_web::openapi::JobAccepted;
use weirgate_web::plan::Plan;
use weirgate_web::problem::Problem;

use crate::{IngestCsat, IngestSecurityAlerts, IngestTickets, IngestTimeEntries};

/// What can be ingested.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Dataset {
    Tickets,
    TimeEntries,
    Csat,
    SecurityAlerts,
}

/// Enqueues the ingest of one dataset of a tenant.
#[utoipa::path(
    post, path = "/internal/ingest/{dataset}", tag = "Enqueue",
    params(("dataset" = Dataset, Path, description = "What to ingest"), EnqueueRequest::<()>, EnqueueHeaders),
    request_body = EnqueueBody,
    responses(JobAccepted)
)]
pub(crate) async fn ingest_dataset(
    State(web): State<Web>,
    Path(dataset): Path<Dataset>,
    request: EnqueueRequest<()>,
) -> Result<Response, Problem> {
    request
        .run(&web, move |tenant, (), adjust| {
            let (id, tenant) = (tenant.id, tenant.into());
            let job = match dataset {
                Dataset::Tickets => NewJob::of(id, &IngestTickets { tenant }),
                Dataset::TimeEntries => NewJob::of(id, &IngestTimeEntries { tenant }),
                Dataset::Csat => NewJob::of(id, &IngestCsat { tenant }),
                Dataset::SecurityAlerts => NewJob::of(id, &IngestSecurityAlerts { tenant }),
            };
            job.map(|job| Plan::Job(adjust(job)))
        })
        .await
}
