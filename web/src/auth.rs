//! Who calls: the service by its token, a tenant by its API key, or by the access token of
//! one of its members; and which scopes they have.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;
use weirgate_identity::keys::{Holder, Presented};
use weirgate_identity::scopes::Scopes;
use weirgate_identity::tokens::Access;

use crate::access;
use crate::callers::Caller;
use crate::connections::Connection;
use crate::idempotency::Sender;
use crate::problem::Problem;
use crate::state::Web;
use crate::watchers::Credential;

const SERVICE_CHALLENGE: &str = r#"Bearer realm="weirgate""#;
const TENANT_CHALLENGE: &str = r#"ApiKey realm="weirgate", Bearer realm="weirgate""#;

/// The tenant that calls `/v1`, or whose data the service reads.
#[derive(Debug, Clone)]
pub struct CallerTenant {
    pub id: Uuid,
    pub slug: Arc<str>,
    /// What the credential may be used for.
    pub scopes: Scopes,
}

impl CallerTenant {
    /// A tenant whose data the service reads.
    pub fn of_service(id: Uuid, slug: Arc<str>) -> Self {
        Self { id, slug, scopes: Scopes::All }
    }
}

impl<S: Sync> FromRequestParts<S> for CallerTenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::internal)
    }
}

/// Lets only the service through.
pub async fn require_service(
    State(web): State<Web>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let token = bearer(request.headers()).and_then(|token| web.service_tokens.accept(token));
    let Some(token) = token else {
        web.limits.check(Caller::Unknown)?;
        return Err(Problem::unauthorized(SERVICE_CHALLENGE, "the service token is missing or wrong"));
    };
    web.limits.check(Caller::Service)?;
    request.extensions_mut().insert(token);
    request.extensions_mut().insert(Sender::Service);
    note_known(request.extensions());
    Ok(next.run(request).await)
}

/// Whoever calls `/v1`, and what their request ends with.
struct Admitted {
    tenant: CallerTenant,
    credential: Credential,
    sender: Sender,
}

/// Lets only tenants through, by their API keys or by the access tokens of their members, and says
/// which one.
pub async fn require_tenant(
    State(web): State<Web>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let key = request
        .headers()
        .get("x-api-key")
        .map_or_else(|| bearer(request.headers()), |value| value.to_str().ok());
    let admitted = match key {
        Some(token) if access::is_token(token) => of_member(access::check(&web, token).await?)?,
        key => of_key(&web, key).await?,
    };
    let Admitted { tenant, credential, sender } = admitted;
    // A tenant has one share of the connections, whichever credentials it uses.
    if let Some(connection) = request.extensions().get::<Arc<Connection>>()
        && !connection.is_of(tenant.id)
    {
        return Err(Problem::too_many_connections_of_one());
    }
    request.extensions_mut().insert(tenant);
    request.extensions_mut().insert(sender);
    // A held request and an event stream end with the credential.
    let answer = web.watchers.follow(credential).answer(request, next).await;
    answer.ok_or_else(|| Problem::unauthorized(TENANT_CHALLENGE, "the credential is no longer valid"))
}

async fn of_key(web: &Web, key: Option<&str>) -> Result<Admitted, Problem> {
    let holder = match key.and_then(Presented::of) {
        Some(key) => holder(web, &key).await?,
        None => None,
    };
    let Some(Holder { key, tenant, slug, scopes, .. }) = holder else {
        web.limits.check(Caller::Unknown)?;
        return Err(Problem::unauthorized(TENANT_CHALLENGE, "the API key is missing or wrong"));
    };
    Ok(Admitted {
        tenant: CallerTenant { id: tenant, slug, scopes },
        credential: Credential::Key { tenant, id: key },
        sender: Sender::ApiKey(key),
    })
}

/// A member of a tenant. Roles of no tenant have nothing to read here.
fn of_member(access: Access) -> Result<Admitted, Problem> {
    let Access { grant, account, tenant, tenant_slug, scopes, .. } = access;
    let Some((tenant, slug)) = tenant.zip(tenant_slug) else {
        let detail =
            "the access token is of a role that is about no single tenant, so that it reads nothing here";
        return Err(Problem::new(StatusCode::FORBIDDEN, "no_tenant", "No tenant", detail));
    };
    Ok(Admitted {
        tenant: CallerTenant { id: tenant, slug: slug.into(), scopes: Scopes::Only(scopes.into()) },
        credential: Credential::Grant(grant),
        sender: Sender::Account { id: account, tenant },
    })
}

/// Who presents the key, within their budget: a key that was right before is looked up only if it
/// has some left.
async fn holder(web: &Web, key: &Presented) -> Result<Option<Holder>, Problem> {
    let caller = Caller::ApiKey(*key.hash());
    let is_known = web.keys.knows(key);
    if is_known {
        web.limits.check(caller)?;
    }
    let holder = web.keys.holder(key).await?;
    if holder.is_some() && !is_known {
        web.limits.check(caller)?;
    }
    Ok(holder)
}

/// The connection is that of somebody with a right credential, whom strangers do not displace.
pub fn note_known(extensions: &Extensions) {
    if let Some(connection) = extensions.get::<Arc<Connection>>() {
        connection.is_known();
    }
}

pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
