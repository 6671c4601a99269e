//! What a tenant's jobs have made, for the service: `/internal/tenants/{id}/kpis/daily`,
//! `/internal/exports/{id}/download`.

use axum::extract::State;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use uuid::Uuid;
use weirgate_web::Web;
use weirgate_web::auth::CallerTenant;
use weirgate_web::extract::Path;
use weirgate_web::page::Page;
use weirgate_web::params::Query;
use weirgate_web::parts::Part;
use weirgate_web::problem::Problem;
use weirgate_web::reads::Reads;
use weirgate_web::table::Listing;

use crate::http::openapi::ExportFile;
use crate::http::v1::exports::{ExportFiles, Reader, unknown_export};
use crate::http::v1::kpis::{DailyKpis, KpiQuery};

/// Lists a tenant's KPIs, one item a day that was computed, in order.
#[utoipa::path(
    get, path = "/internal/tenants/{id}/kpis/daily", tag = "Operation", operation_id = "list_daily_kpis_of_tenant",
    params(("id" = String, Path, description = "The tenant's slug or UUID"), Listing::<KpiQuery>),
    responses((
        status = 200, description = "The KPIs, all on one page",
        content((Page<DailyKpis> = "application/json"), (String = "text/csv"))
    ))
)]
pub(crate) async fn list_daily_kpis(
    State(reads): State<Reads>,
    Path(name): Path<String>,
    Listing { query: days, form }: Listing<KpiQuery>,
) -> Result<Response, Problem> {
    let found = {
        let mut tx = reads.of_service().await?;
        weirgate_identity::Tenant::find(tx.conn(), &name).await?
    };
    let found = found.ok_or_else(|| Problem::unknown_tenant(&name))?;
    let tenant = CallerTenant::of_service(found.id, found.slug.0.into());
    let tx = reads.of_service_under(tenant.id).await?;
    days.answer(tx, &tenant.slug, form).await
}

/// Streams the file of a tenant's export, after its SHA-256 was found to be the one that was
/// stored.
///
/// The same as `/v1/exports/{id}/download` for the tenant; `output.download_url` of the job that
/// wrote it leads here.
#[utoipa::path(
    get, path = "/internal/exports/{id}/download", tag = "Operation", operation_id = "download_export_of_tenant",
    params(("id" = Uuid, Path, description = "The export")),
    responses(ExportFile)
)]
pub(crate) async fn download_export(
    State(web): State<Web>,
    Part(files): Part<ExportFiles>,
    Path(id): Path<Uuid>,
    Query(()): Query<()>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let tenant = {
        let mut tx = web.reads.of_service().await?;
        sqlx::query_scalar!("select tenant_id from msp.exports where id = $1", id)
            .fetch_optional(tx.conn())
            .await?
            .ok_or_else(|| unknown_export(id))?
    };
    let tenant = CallerTenant::of_service(tenant, web.slugs.of(tenant).await?);
    Reader { tenant, is_service: true }.download(&web, &files, id, (&method, &headers)).await
}
