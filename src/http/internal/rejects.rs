//! `GET /internal/rejects`.

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use weirgate_jobs::Tenant;
use weirgate_jobs::sources::Dataset;

use crate::http::Api;
use crate::http::context::RequestContext;
use crate::http::internal::ingest;
use crate::http::page::{Page, Paging, PagingParams, bytes};
use crate::http::params::{Fields, FromQuery, Parse, Query, TenantName};
use crate::http::problem::Problem;
use crate::http::read_tx::ReadTx;

/// A row of a source that could not be taken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RejectedRow {
    tenant_id: Uuid,
    /// The tenant's slug.
    #[schema(example = "tenant_demo_cca")]
    tenant: String,
    #[schema(example = "tickets")]
    dataset: String,
    /// The file or address that it came from.
    #[schema(example = "tenant_demo_cca/tickets.jsonl")]
    origin: String,
    /// Its line or number in that, from 1.
    #[schema(example = 17)]
    line: i64,
    /// What is wrong with it.
    #[schema(example = "cw_ticket_id: is missing")]
    reason: String,
    /// The row itself, its first 2,000 characters; null where it is no text.
    #[schema(required = true)]
    content: Option<String>,
    /// The job that found it.
    job_id: Uuid,
    rejected_at: DateTime<Utc>,
}

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
    /// Found by this job.
    #[param(required = false)]
    job_id: Uuid,
}

/// Where a page ended: dataset, tenant, origin, line.
type Place = (String, Uuid, String, i64);

#[derive(Debug)]
pub(crate) struct RejectQuery {
    tenant: Option<TenantName>,
    dataset: Option<Dataset>,
    job: Option<Uuid>,
    paging: Paging<Place>,
}

impl FromQuery for RejectQuery {
    fn take(fields: &mut Fields) -> Option<Self> {
        Some(Self {
            tenant: fields.get("tenant_id"),
            dataset: fields.get("dataset"),
            job: fields.get("job_id"),
            paging: Paging::take(fields),
        })
    }
}

impl Parse for Dataset {
    fn parse(text: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::name).join(", ");
        Self::from_name(text).ok_or_else(|| format!("expected one of {names}"))
    }
}

/// Lists the rows of sources that could not be taken, as the last run of each ingest found them.
///
/// By dataset, tenant and place. A run replaces what the one before it has found; of a run, at most 10,000 rows are kept.
#[utoipa::path(
    get, path = "/internal/rejects", tag = "Operation", params(RejectParams, PagingParams),
    responses(
        (status = 200, description = "A page of rejected rows", body = Page<RejectedRow>),
        (status = 404, description = "unknown_tenant")
    )
)]
pub(crate) async fn list_rejects(
    State(api): State<Api>,
    context: RequestContext,
    Query(query): Query<RejectQuery>,
) -> Result<Page<RejectedRow>, Problem> {
    let RejectQuery { tenant, dataset, job, paging } = query;
    let mut read = ReadTx::of_service(&api).await?;
    let tenant = match tenant {
        Some(name) => {
            let found = Tenant::find(read.conn(), &name.0).await?;
            Some(found.ok_or_else(|| Problem::unknown_tenant(&name.0))?.id)
        }
        None => None,
    };
    // Each filter has its index: a plan for all of them would read whatever there is.
    sqlx::query!("set local plan_cache_mode = force_custom_plan").execute(read.conn()).await?;
    let (after_dataset, after_tenant, after_origin, after_line) = paging.after.clone().unwrap_or_default();
    let rows = sqlx::query_as!(
        RejectedRow,
        "select r.tenant_id, t.slug as tenant, r.dataset, r.origin, r.line, r.reason, r.content, r.job_id, r.rejected_at
         from ingest_rejects r join tenants t on t.id = r.tenant_id
         where ($1::uuid is null or r.tenant_id = $1) and ($2::text is null or r.dataset = $2)
           and ($3::uuid is null or r.job_id = $3)
           and (r.dataset, r.tenant_id, r.origin, r.line) > ($4::text, $5::uuid, $6::text, $7::bigint)
         order by r.dataset, r.tenant_id, r.origin, r.line limit $8",
        tenant,
        dataset.map(Dataset::name),
        job,
        after_dataset,
        after_tenant,
        after_origin,
        after_line,
        paging.rows()
    )
    .fetch(read.conn());
    let rows = paging.collect(rows, bytes).await?;
    Ok(rows.page(&context, |row| (row.dataset.clone(), row.tenant_id, row.origin.clone(), row.line)))
}
