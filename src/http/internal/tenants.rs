//! `GET /internal/tenants`.

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::Api;
use crate::http::context::RequestContext;
use crate::http::page::{Page, Paging, PagingParams};
use crate::http::params::{Fields, FromQuery, Query};
use crate::http::problem::Problem;

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TenantResource {
    id: Uuid,
    /// Its name in URLs, files and job arguments.
    #[schema(example = "tenant_demo_cca")]
    slug: String,
    /// Its name for people.
    name: String,
    /// Whether jobs are accepted for it.
    is_active: bool,
    /// Whether it allows language models on its data.
    llm_enabled: bool,
    /// IANA time zone: where its days begin and end.
    #[schema(example = "Europe/Paris")]
    time_zone: String,
    created_at: DateTime<Utc>,
}

#[derive(Debug)]
pub(crate) struct TenantQuery(Paging<String>);

impl FromQuery for TenantQuery {
    fn take(fields: &mut Fields) -> Option<Self> {
        Some(Self(Paging::take(fields)))
    }
}

/// Lists the active tenants, by slug.
#[utoipa::path(
    get, path = "/internal/tenants", tag = "Operation", params(PagingParams),
    responses((status = 200, description = "A page of tenants", body = Page<TenantResource>))
)]
pub(crate) async fn list_tenants(
    State(api): State<Api>,
    context: RequestContext,
    Query(TenantQuery(paging)): Query<TenantQuery>,
) -> Result<Page<TenantResource>, Problem> {
    let rows = sqlx::query_as!(
        TenantResource,
        "select id, slug, name, is_active, llm_enabled, time_zone, created_at from tenants
         where is_active and slug > $1 order by slug limit $2",
        paging.after.as_deref().unwrap_or_default(),
        paging.rows()
    )
    .fetch_all(&api.pool)
    .await?;
    Ok(paging.page(rows, &context, |row| row.slug.clone()))
}
