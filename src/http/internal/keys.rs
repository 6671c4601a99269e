//! `/internal/api-keys` and `/internal/tenants/{id}/api-keys`: the keys with which tenants call
//! `/v1`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;
use weirgate_identity::Tenant;
use weirgate_identity::keys::issuing::{self, New};
use weirgate_identity::keys::{self, Listed};
use weirgate_identity::scopes::{KeyScopes, Scope};
use weirgate_web::client_address::ServiceActor;
use weirgate_web::context::RequestContext;
use weirgate_web::extract::{Action, Path, answered};
use weirgate_web::idempotency::Claimed;
use weirgate_web::page::{Page, Paging};
use weirgate_web::params::Query;
use weirgate_web::parse::Parse;
use weirgate_web::problem::{FieldError, Problem};

use crate::http::{Api, schemas};
use crate::random;

/// An API key of a tenant. The key itself is not kept: only what it begins with, and a hash.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiKey {
    id: Uuid,
    tenant_id: Uuid,
    /// The tenant's slug.
    #[schema(example = "tenant_demo_cca")]
    tenant: String,
    /// What the key begins with; names it.
    #[schema(example = "wg_1a2b3c4d")]
    prefix: String,
    /// What it is for.
    #[schema(example = "n8n")]
    name: String,
    /// Names of what it may be used for. Null: it was given no scopes and has the default ones.
    #[schema(required = true, example = json!(["read:jobs"]))]
    scopes: Option<Vec<String>>,
    state: KeyState,
    created_at: DateTime<Utc>,
    /// From when on it is refused; null: never by itself.
    #[schema(required = true)]
    expires_at: Option<DateTime<Utc>>,
    /// The last request with it, to the minute.
    #[schema(required = true)]
    last_used_at: Option<DateTime<Utc>>,
}

/// Whether a key is good, or why it is refused.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyState {
    Good,
    Revoked,
    Expired,
    TenantInactive,
}

/// An API key, with the key itself this once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreatedApiKey {
    #[serde(flatten)]
    api_key: ApiKey,
    /// The key itself, to be sent as `X-API-Key`. Null in the answer to a repeated request
    /// (`replayed`): it is not kept, so that whoever has lost it deletes this one and makes
    /// another.
    #[schema(
        required = true,
        example = "wg_1a2b3c4d_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    )]
    key: Option<String>,
    /// Whether the Idempotency-Key was used before.
    replayed: bool,
}

impl From<Listed> for ApiKey {
    fn from(listed: Listed) -> Self {
        let Listed { id, tenant_id, tenant, prefix, name, scopes, refused, created_at, .. } = listed;
        let Listed { expires_at, last_used_at, .. } = listed;
        let state = match refused.as_deref() {
            None => KeyState::Good,
            Some("expired") => KeyState::Expired,
            Some("tenant_inactive") => KeyState::TenantInactive,
            Some(_) => KeyState::Revoked,
        };
        Self { id, tenant_id, tenant, prefix, name, scopes, state, created_at, expires_at, last_used_at }
    }
}

/// What a credential of a tenant may be used for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScopeResource {
    #[schema(schema_with = schemas::scope)]
    name: &'static str,
    /// What it allows.
    #[schema(example = "Read jobs: list them, look at one, follow its events")]
    text: &'static str,
    /// Whether API keys have it that were given no scopes.
    by_default: bool,
}

/// Lists the scopes that API keys may have, on one page.
#[utoipa::path(
    get, path = "/internal/scopes", tag = "Operation",
    responses((status = 200, description = "All scopes", body = Page<ScopeResource>))
)]
pub(crate) async fn list_scopes(State(api): State<Api>, Query(()): Query<()>) -> Page<ScopeResource> {
    let resource = |&Scope { name, text, by_default }: &Scope| ScopeResource { name, text, by_default };
    Page::whole(api.catalog.scopes().iter().map(resource).collect())
}

/// Lists the API keys of all tenants, by tenant and age, with those that are refused.
#[utoipa::path(
    get, path = "/internal/api-keys", tag = "Operation", params(Query::<Paging<(String, Uuid)>>),
    responses((status = 200, description = "A page of API keys", body = Page<ApiKey>))
)]
pub(crate) async fn list_api_keys(
    State(api): State<Api>,
    context: RequestContext,
    Query(paging): Query<Paging<(String, Uuid)>>,
) -> Result<Page<ApiKey>, Problem> {
    list(&mut *api.pool.acquire().await?, None, &paging, &context).await
}

/// Lists a tenant's API keys, oldest first, with those that are refused.
#[utoipa::path(
    get, path = "/internal/tenants/{id}/api-keys", tag = "Operation", operation_id = "list_api_keys_of_tenant",
    params(("id" = String, Path, description = "The tenant's slug or UUID"), Query::<Paging<(String, Uuid)>>),
    responses((status = 200, description = "A page of API keys", body = Page<ApiKey>))
)]
pub(crate) async fn list_api_keys_of_tenant(
    State(api): State<Api>,
    context: RequestContext,
    Path(name): Path<String>,
    Query(paging): Query<Paging<(String, Uuid)>>,
) -> Result<Page<ApiKey>, Problem> {
    let mut conn = api.pool.acquire().await?;
    let tenant = find(&mut conn, &name).await?;
    list(&mut conn, Some(tenant.id), &paging, &context).await
}

async fn list(
    conn: &mut PgConnection,
    tenant: Option<Uuid>,
    paging: &Paging<(String, Uuid)>,
    context: &RequestContext,
) -> Result<Page<ApiKey>, Problem> {
    let after = paging.after.as_ref().map_or(("", Uuid::nil()), |(slug, id)| (slug.as_str(), *id));
    let rows = keys::page(conn, tenant, None, after, paging.rows()).await?;
    Ok(paging.page(rows, context, |row| (row.tenant.clone(), row.id)).map(ApiKey::from))
}

async fn find(conn: &mut PgConnection, name: &str) -> Result<Tenant, Problem> {
    Tenant::find(conn, name).await?.ok_or_else(|| Problem::unknown_tenant(name))
}

/// An API key to be made.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(
    as = NewApiKey,
    example = json!({"name": "n8n", "scopes": ["read:jobs"], "expires_at": "2027-01-31T00:00:00Z"})
)]
pub(crate) struct NewApiKey {
    /// What it is for.
    #[schema(required = true, value_type = String, min_length = 1, max_length = 200, example = "n8n")]
    name: Option<String>,
    #[schema(schema_with = schemas::scopes_of_new_key)]
    scopes: Option<Vec<String>>,
    /// From when on it is refused; never by itself when left out.
    #[schema(value_type = Option<DateTime<Utc>>)]
    expires_at: Option<String>,
}

/// The same, checked.
struct Checked<'a> {
    name: &'a str,
    scopes: Option<KeyScopes>,
    expires_at: Option<DateTime<Utc>>,
}

impl NewApiKey {
    fn check(&self, known: &[Scope]) -> Result<Checked<'_>, Problem> {
        let mut errors = Vec::new();
        let mut wrong = |field: &str, message: String| {
            errors.push(FieldError { field: field.to_owned(), message });
        };
        if self.name.is_none() {
            wrong("name", "required: what the key is for, such as \"n8n\"".to_owned());
        }
        let expires_at = self.expires_at.as_deref().map(<DateTime<Utc> as Parse>::parse);
        let expires_at = expires_at.transpose().map_err(|message| wrong("expires_at", message));
        let scopes = self.scopes.as_deref().map(|names| KeyScopes::of(names, known));
        let scopes = scopes.transpose().map_err(|message| wrong("scopes", message));
        match (self.name.as_deref(), scopes, expires_at) {
            (Some(name), Ok(scopes), Ok(expires_at)) => Ok(Checked { name, scopes, expires_at }),
            _ => Err(Problem::invalid(errors)),
        }
    }
}

/// Creates an API key for a tenant. Only this answer has the key itself.
#[utoipa::path(
    post, path = "/internal/tenants/{id}/api-keys", tag = "Operation", request_body = NewApiKey,
    params(("id" = String, Path, description = "The tenant's slug or UUID")),
    responses((
        status = 201, body = CreatedApiKey,
        description = "The key; under a repeated Idempotency-Key the one that was made then, without the key itself"
    ))
)]
pub(crate) async fn create_api_key(
    State(api): State<Api>,
    ServiceActor(actor): ServiceActor,
    action: Action<String, NewApiKey>,
) -> Result<Response, Problem> {
    let Checked { name, scopes, expires_at } = action.body.check(api.catalog.scopes())?;
    let mut tx = api.pool.begin().await?;
    let tenant = find(&mut tx, &action.target).await?;
    let mut id = Uuid::now_v7();
    let key = match action.claim(&mut tx, id).await? {
        Claimed::First => {
            let random = random::bytes();
            let slug = &tenant.slug.0;
            let new = New { id, tenant: tenant.id, slug, name, scopes, expires_at, random };
            Some(issuing::issue(&mut tx, &actor, new).await?)
        }
        Claimed::Replay(earlier) => {
            id = earlier;
            None
        }
    };
    let listed = keys::get(&mut tx, tenant.id, id).await?;
    tx.commit().await?;
    let api_key = listed.ok_or_else(|| unknown(&id.to_string()))?.into();
    let replayed = key.is_none();
    let created = CreatedApiKey { api_key, key, replayed };
    Ok(answered(!replayed, (StatusCode::CREATED, Json(created)).into_response()))
}

/// Revokes an API key. It stays in the list; a repeat changes nothing.
///
/// What is held open with it ends within seconds.
#[utoipa::path(
    delete, path = "/internal/tenants/{id}/api-keys/{prefix}", tag = "Operation",
    params(
        ("id" = String, Path, description = "The tenant's slug or UUID"),
        ("prefix" = String, Path, description = "What the key begins with, or its id", example = "wg_1a2b3c4d")
    ),
    responses((status = 204, description = "The key is refused"))
)]
pub(crate) async fn delete_api_key(
    State(api): State<Api>,
    ServiceActor(actor): ServiceActor,
    Path((name, prefix)): Path<(String, String)>,
    Query(()): Query<()>,
) -> Result<StatusCode, Problem> {
    let mut tx = api.pool.begin().await?;
    let tenant = find(&mut tx, &name).await?;
    let withdrawn = issuing::withdraw(&mut tx, &actor, Some(tenant.id), &prefix).await?;
    if !withdrawn && !keys::exists(&mut tx, tenant.id, &prefix).await? {
        return Err(unknown(&prefix));
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

fn unknown(prefix: &str) -> Problem {
    // Whoever sends a whole key must not find it in logs of answers.
    let detail = format!("the tenant has no API key {:?}", issuing::visible(prefix));
    Problem::not_found("unknown_api_key", "Unknown API key", detail)
}
