//! The tenant a job works for.

use std::fmt;

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::JobError;

/// A tenant's name in URLs, files and job arguments.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantSlug(pub String);

impl fmt::Display for TenantSlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for TenantSlug {
    fn from(slug: &str) -> Self {
        Self(slug.to_owned())
    }
}

/// The owner of jobs that are no single tenant's, such as bulk actions. It is no row of `tenants` and has no key, so that
/// nobody sees these jobs under `/v1`.
pub const SYSTEM_TENANT: Uuid = Uuid::nil();

/// What [`SYSTEM_TENANT`] is called where a tenant's slug stands; no tenant may have it.
pub const SYSTEM_SLUG: &str = "system";

/// A tenant as stored.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Permanent id.
    pub id: Uuid,
    /// Name in URLs, files and job arguments.
    pub slug: TenantSlug,
    /// Name for people.
    pub name: String,
    /// Whether jobs are accepted for it.
    pub is_active: bool,
    /// Where its days begin and end.
    pub time_zone: String,
}

impl Tenant {
    /// The tenant of that slug or UUID.
    pub async fn find(conn: &mut PgConnection, slug_or_id: &str) -> sqlx::Result<Option<Self>> {
        let row = sqlx::query!(
            "select id, slug, name, is_active, time_zone from tenants where slug = $1 or id = $2",
            slug_or_id,
            slug_or_id.parse::<Uuid>().ok()
        )
        .fetch_optional(conn)
        .await?;
        Ok(row.map(|row| Self {
            id: row.id,
            slug: TenantSlug(row.slug),
            name: row.name,
            is_active: row.is_active,
            time_zone: row.time_zone,
        }))
    }

    /// The tenant a job is for; a job for one that is gone can never succeed.
    pub(crate) async fn load(conn: &mut PgConnection, slug: &TenantSlug) -> Result<Self, JobError> {
        Self::find(conn, &slug.0)
            .await?
            .ok_or_else(|| JobError::discard("unknown_tenant", format!("no tenant {:?}", slug.0)))
    }
}
