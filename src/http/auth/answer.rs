//! What somebody who has signed in is answered.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use weirgate_identity::grants::Subject;
use weirgate_identity::tokens::{Access, Issued};

/// Somebody who is signed in, as a member of something.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    id: Uuid,
    /// The tenant that they are a member of; null for roles of no tenant.
    #[schema(required = true)]
    tenant_id: Option<Uuid>,
    #[schema(example = "ada@acme.example")]
    email: String,
    #[schema(example = "Ada Lovelace")]
    full_name: String,
    /// The domain that they are a member in.
    #[schema(example = "msp")]
    app: String,
    #[schema(example = "reader")]
    role: String,
}

/// Tokens, and whose they are.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignedInUser {
    user: User,
    /// The access token, to be sent as `Authorization: Bearer`: a JWT (RFC 9068).
    token: String,
    /// Gets the next tokens, once. Kept secret by whoever has it.
    refresh_token: String,
    /// Seconds for which `token` is good.
    #[schema(example = 3600)]
    expires_in: i64,
}

/// Somebody who is signed in, and what their token may be used for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Me {
    #[serde(flatten)]
    user: User,
    /// What the token may be used for.
    #[schema(example = json!(["read:kpis"]))]
    scopes: Vec<String>,
}

impl SignedInUser {
    pub(super) fn new(subject: Subject, issued: Issued, refresh_token: String) -> Self {
        let Subject { account: id, tenant: tenant_id, email, full_name, app, role, .. } = subject;
        let user = User { id, tenant_id, email, full_name, app, role };
        Self { user, token: issued.token, refresh_token, expires_in: issued.expires_in }
    }
}

impl From<Access> for Me {
    fn from(access: Access) -> Self {
        let Access { account: id, tenant: tenant_id, email, full_name, app, role, scopes, .. } = access;
        Self { user: User { id, tenant_id, email, full_name, app, role }, scopes }
    }
}
