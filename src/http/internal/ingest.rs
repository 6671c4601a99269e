//! `POST /internal/ingest/{dataset}`.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use weirgate_msp::{IngestCsat, IngestSecurityAlerts, IngestTickets, IngestTimeEntries};
use weirgate_queue::NewJob;

use crate::http::Api;
use crate::http::enqueue::{EnqueueBody, EnqueueHeaders, EnqueueParams, EnqueueRequest};
use crate::http::extract::Path;
use crate::http::openapi::JobAccepted;
use crate::http::problem::Problem;
use crate::plan::Plan;

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
    params(("dataset" = Dataset, Path, description = "What to ingest"), EnqueueParams, EnqueueHeaders),
    request_body = EnqueueBody,
    responses(JobAccepted)
)]
pub(crate) async fn ingest_dataset(
    State(api): State<Api>,
    Path(dataset): Path<Dataset>,
    request: EnqueueRequest<()>,
) -> Result<Response, Problem> {
    request
        .run(&api, move |tenant, (), adjust| {
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
