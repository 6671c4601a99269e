//! `GET /internal/rejects`.

use axum::extract::State;
use chrono::NaiveDate;
use uuid::Uuid;
use weirgate_identity::Tenant;
use weirgate_web::context::RequestContext;
use weirgate_web::page::{Page, Paging, bytes};
use weirgate_web::params::Query;
use weirgate_web::parse::TenantName;
use weirgate_web::problem::Problem;
use weirgate_web::query_params;
use weirgate_web::reads::Reads;

use crate::http::internal::ingest;
use crate::rejects::{self, Filter, Place, RejectedRow};
use crate::sources::Dataset;

query_params! {
    /// Which rows.
    pub(crate) struct RejectQuery {
        /// The tenant's slug or UUID.
        #[param(value_type = String, pattern = "^[A-Za-z0-9_-]{1,64}$", example = "tenant_demo_cca")]
        tenant_id: Option<TenantName>,
        /// Of this dataset.
        #[param(value_type = ingest::Dataset)]
        dataset: Option<Dataset>,
        /// Found on this day of its tenant's time zone.
        #[param(example = "2026-01-20")]
        date: Option<NaiveDate>,
        /// Found by this job.
        job_id: Option<Uuid>,
        ..paging: Paging<Place>,
    }
}

/// Lists the source rows that the last run of each ingest rejected.
///
/// Newest first. A run replaces what the one before it has found; of a run, at most 10,000 rows are
/// kept.
#[utoipa::path(
    get, path = "/internal/rejects", tag = "Operation", params(Query::<RejectQuery>),
    responses(
        (status = 200, description = "A page of rejected rows", body = Page<RejectedRow>),
        (status = 404, description = "unknown_tenant")
    )
)]
pub(crate) async fn list_rejects(
    State(reads): State<Reads>,
    context: RequestContext,
    Query(query): Query<RejectQuery>,
) -> Result<Page<RejectedRow>, Problem> {
    let RejectQuery { tenant_id: tenant, dataset, date, job_id: job, paging } = query;
    let mut read = reads.of_service().await?;
    let tenant = match tenant {
        Some(name) => {
            let found = Tenant::find(read.conn(), &name.0).await?;
            Some(found.ok_or_else(|| Problem::unknown_tenant(&name.0))?.id)
        }
        None => None,
    };
    let filter = Filter { tenant, dataset, date, job };
    let rows = rejects::list(read.conn(), &filter, paging.after.as_ref(), paging.rows()).await?;
    let rows = paging.collect(rows, bytes).await?;
    Ok(rows.page(&context, RejectedRow::place))
}
