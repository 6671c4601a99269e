//! `GET /internal/rejects`.

use axum::extract::State;
use chrono::NaiveDate;
use utoipa::IntoParams;
use uuid::Uuid;
use weirgate_identity::Tenant;
use weirgate_web::context::RequestContext;
use weirgate_web::page::{Page, Paging, PagingParams, bytes};
use weirgate_web::params::{Fields, FromQuery, Query};
use weirgate_web::parse::TenantName;
use weirgate_web::problem::Problem;
use weirgate_web::reads::Reads;

use crate::http::internal::ingest;
use crate::rejects::{self, Filter, Place, RejectedRow};
use crate::sources::Dataset;

/// Which rows, for the documentation.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents what RejectQuery reads")]
pub(crate) struct RejectParams {
    /// The tenant's slug or UUID.
    #[param(required = false, pattern = "^[A-Za-z0-9_-]{1,64}$", example = "tenant_demo_cca")]
    tenant_id: String,
    /// Of this dataset.
    #[param(required = false)]
    dataset: ingest::Dataset,
    /// Found on this day of its tenant's time zone.
    #[param(required = false, example = "2026-01-20")]
    date: NaiveDate,
    /// Found by this job.
    #[param(required = false)]
    job_id: Uuid,
}

#[derive(Debug)]
pub(crate) struct RejectQuery {
    tenant: Option<TenantName>,
    dataset: Option<Dataset>,
    date: Option<NaiveDate>,
    job: Option<Uuid>,
    paging: Paging<Place>,
}

impl FromQuery for RejectQuery {
    fn take(fields: &mut Fields) -> Option<Self> {
        Some(Self {
            tenant: fields.get("tenant_id"),
            dataset: fields.get("dataset"),
            date: fields.get("date"),
            job: fields.get("job_id"),
            paging: Paging::take(fields),
        })
    }
}

/// Lists the source rows that the last run of each ingest rejected.
///
/// Newest first. A run replaces what the one before it has found; of a run, at most 10,000 rows are kept.
#[utoipa::path(
    get, path = "/internal/rejects", tag = "Operation", params(RejectParams, PagingParams),
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
    let RejectQuery { tenant, dataset, date, job, paging } = query;
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
