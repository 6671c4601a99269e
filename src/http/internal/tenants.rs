//! `/internal/tenants`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use weirgate_identity::tenants::{self, Change, New, SLUG, Stored};
use weirgate_web::client_address::ServiceActor;
use weirgate_web::context::RequestContext;
use weirgate_web::extract::{Action, Body, Path, answered};
use weirgate_web::idempotency::Claimed;
use weirgate_web::page::{Page, Paging};
use weirgate_web::params::Query;
use weirgate_web::problem::{FieldError, Problem};
use weirgate_web::query_params;

use crate::http::Api;

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TenantResource {
    id: Uuid,
    /// Its name in URLs, files and job arguments. It never changes.
    #[schema(example = "tenant_demo_cca")]
    slug: String,
    /// Its name for people.
    name: String,
    /// Whether jobs are accepted for it and its API keys are good.
    is_active: bool,
    /// Whether it allows language models on its data.
    llm_enabled: bool,
    /// IANA time zone: where its days begin and end.
    #[schema(example = "Europe/Paris")]
    time_zone: String,
    created_at: DateTime<Utc>,
}

impl From<Stored> for TenantResource {
    fn from(tenant: Stored) -> Self {
        let Stored { id, slug, name, is_active, llm_enabled, time_zone, created_at } = tenant;
        Self { id, slug, name, is_active, llm_enabled, time_zone, created_at }
    }
}

query_params! {
    /// Which tenants.
    pub(crate) struct TenantQuery {
        /// Only those that are active, or only those that are not.
        active: Option<bool>,
        ..paging: Paging<String>,
    }
}

/// Lists the tenants, by slug, with those that are not active.
#[utoipa::path(
    get, path = "/internal/tenants", tag = "Operation", params(Query::<TenantQuery>),
    responses((status = 200, description = "A page of tenants", body = Page<TenantResource>))
)]
pub(crate) async fn list_tenants(
    State(api): State<Api>,
    context: RequestContext,
    Query(TenantQuery { active, paging }): Query<TenantQuery>,
) -> Result<Page<TenantResource>, Problem> {
    let mut conn = api.pool.acquire().await?;
    let after = paging.after.as_deref().unwrap_or_default();
    let rows = tenants::list(&mut conn, active, after, paging.rows()).await?;
    Ok(paging.page(rows, &context, |row| row.slug.clone()).map(TenantResource::from))
}

/// Shows a tenant.
#[utoipa::path(
    get, path = "/internal/tenants/{id}", tag = "Operation",
    params(("id" = String, Path, description = "The tenant's slug or UUID")),
    responses((status = 200, description = "The tenant", body = TenantResource))
)]
pub(crate) async fn get_tenant(
    State(api): State<Api>,
    Path(name): Path<String>,
    Query(()): Query<()>,
) -> Result<Json<TenantResource>, Problem> {
    let found = tenants::get(&mut *api.pool.acquire().await?, &name).await?;
    found.map(TenantResource::from).map(Json).ok_or_else(|| Problem::unknown_tenant(&name))
}

/// A tenant to be made.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTenant, example = json!({"slug": "acme", "name": "Acme Ltd", "time_zone": "Europe/London"}))]
pub(crate) struct NewTenant {
    /// Its name in URLs, files and job arguments; it never changes. No UUID, and neither `system`
    /// nor `all`.
    #[schema(required = true, value_type = String, pattern = "^[A-Za-z0-9_-]{1,64}$", example = "acme")]
    slug: Option<String>,
    /// Display name.
    #[schema(required = true, value_type = String, min_length = 1, max_length = 200, example = "Acme Ltd")]
    name: Option<String>,
    /// IANA time zone, in its exact spelling: where its days begin and end.
    #[schema(required = true, value_type = String, example = "Europe/London")]
    time_zone: Option<String>,
    /// Whether jobs are accepted for it; true when left out.
    #[schema(value_type = Option<bool>, default = true)]
    is_active: Option<bool>,
    /// Whether it allows language models on its data; false when left out.
    #[schema(value_type = Option<bool>, default = false)]
    llm_enabled: Option<bool>,
}

impl NewTenant {
    fn checked(&self) -> Result<New, Problem> {
        let mut errors = Vec::new();
        let mut required = |field: &str, value: &Option<String>, expected: &str| {
            value.clone().unwrap_or_else(|| {
                let message = format!("required: {expected}");
                errors.push(FieldError { field: field.to_owned(), message });
                String::new()
            })
        };
        let new = New {
            slug: required("slug", &self.slug, SLUG),
            name: required("name", &self.name, "a name for people, such as \"Acme Ltd\""),
            time_zone: required("time_zone", &self.time_zone, "an IANA time zone, such as Europe/Berlin"),
            is_active: self.is_active.unwrap_or(true),
            llm_enabled: self.llm_enabled.unwrap_or(false),
        };
        if errors.is_empty() { Ok(new) } else { Err(Problem::invalid(errors)) }
    }
}

/// Creates a tenant. It has no API key yet.
#[utoipa::path(
    post, path = "/internal/tenants", tag = "Operation", request_body = NewTenant,
    responses(
        (status = 201, description = "The tenant; under a repeated Idempotency-Key as it is now", body = TenantResource, headers(
            ("Location" = String, description = "The tenant's URL")
        )),
        (status = 409, description = "slug_taken: a tenant with that slug already exists")
    )
)]
pub(crate) async fn create_tenant(
    State(api): State<Api>,
    context: RequestContext,
    ServiceActor(actor): ServiceActor,
    action: Action<(), NewTenant>,
) -> Result<Response, Problem> {
    let new = action.body.checked()?;
    let id = Uuid::now_v7();
    let mut tx = api.pool.begin().await?;
    let (tenant, first) = match action.claim(&mut tx, id).await? {
        Claimed::First => (tenants::create(&mut tx, &actor, id, &new).await?, true),
        Claimed::Replay(earlier) => {
            let found = tenants::get(&mut tx, &earlier.to_string()).await?;
            (found.ok_or_else(|| Problem::unknown_tenant(&new.slug))?, false)
        }
    };
    tx.commit().await?;
    let location = [(LOCATION, context.url(&format!("/internal/tenants/{}", tenant.slug)))];
    Ok(answered(first, (StatusCode::CREATED, location, Json(TenantResource::from(tenant))).into_response()))
}

/// What to change of a tenant; what is left out stays as it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TenantChange, example = json!({"time_zone": "America/New_York"}))]
pub(crate) struct TenantChange {
    /// Display name.
    #[schema(min_length = 1, max_length = 200, example = "Acme Ltd")]
    name: Option<String>,
    /// IANA time zone, in its exact spelling. Days that are worked out already stay as they are.
    #[schema(example = "America/New_York")]
    time_zone: Option<String>,
    /// False: no more jobs are accepted for it, schedules and backfills pass it by, and its API
    /// keys are refused. Jobs that were accepted before run on. True takes all of that back.
    is_active: Option<bool>,
    /// Whether it allows language models on its data.
    llm_enabled: Option<bool>,
}

/// Changes a tenant. One that is so already stays as it is.
#[utoipa::path(
    patch, path = "/internal/tenants/{id}", tag = "Operation", request_body = TenantChange,
    params(("id" = String, Path, description = "The tenant's slug or UUID")),
    responses((status = 200, description = "The tenant as it is now", body = TenantResource))
)]
pub(crate) async fn change_tenant(
    State(api): State<Api>,
    ServiceActor(actor): ServiceActor,
    Path(name): Path<String>,
    Query(()): Query<()>,
    Body(body): Body<TenantChange>,
) -> Result<Json<TenantResource>, Problem> {
    let TenantChange { name: new_name, time_zone, is_active, llm_enabled } = body;
    let change = Change { name: new_name, time_zone, is_active, llm_enabled };
    let mut tx = api.pool.begin().await?;
    let (_, after) = tenants::change(&mut tx, &actor, &name, &change).await?;
    tx.commit().await?;
    Ok(Json(after.into()))
}
