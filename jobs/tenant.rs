//! The tenant a job works for.

use std::collections::HashSet;
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

/// Tenants that were named cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TenantsError {
    /// There are none of these names.
    #[error("no tenant {}", .0.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", "))]
    Unknown(Vec<String>),
    /// No job is accepted for these.
    #[error("inactive, so that no job is accepted: {}", .0.iter().map(|slug| slug.0.as_str()).collect::<Vec<_>>().join(", "))]
    Inactive(Vec<TenantSlug>),
    /// Postgres refused, or could not be reached.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
}

struct Row {
    id: Uuid,
    slug: String,
    name: String,
    is_active: bool,
    time_zone: String,
}

impl From<Row> for Tenant {
    fn from(row: Row) -> Self {
        let Row { id, slug, name, is_active, time_zone } = row;
        Self { id, slug: TenantSlug(slug), name, is_active, time_zone }
    }
}

impl Tenant {
    /// The tenant of that slug or UUID.
    pub async fn find(conn: &mut PgConnection, slug_or_id: &str) -> sqlx::Result<Option<Self>> {
        let row = sqlx::query_as!(
            Row,
            "select id, slug, name, is_active, time_zone from tenants where slug = $1 or id = $2",
            slug_or_id,
            slug_or_id.parse::<Uuid>().ok()
        )
        .fetch_optional(conn)
        .await?;
        Ok(row.map(Self::from))
    }

    /// For each of these slugs or UUIDs the tenant, if there is one.
    pub async fn find_each(conn: &mut PgConnection, names: &[String]) -> sqlx::Result<Vec<Option<Self>>> {
        let ids: Vec<Option<Uuid>> = names.iter().map(|name| name.parse().ok()).collect();
        let rows = sqlx::query_as!(
            Row,
            "select id, slug, name, is_active, time_zone from tenants where slug = any($1) or id = any($2)",
            names,
            &ids as &[Option<Uuid>]
        )
        .fetch_all(conn)
        .await?;
        let tenants: Vec<Self> = rows.into_iter().map(Self::from).collect();
        let find = |(name, id): (&String, &Option<Uuid>)| {
            tenants.iter().find(|tenant| tenant.slug.0 == *name || Some(tenant.id) == *id).cloned()
        };
        Ok(names.iter().zip(&ids).map(find).collect())
    }

    /// The active tenants of these slugs or UUIDs, each once and in their order; every active one, by slug, where `names`
    /// is none.
    ///
    /// # Errors
    /// Names those that are unknown, or else those that are inactive.
    pub async fn active(
        conn: &mut PgConnection,
        names: Option<&[String]>,
    ) -> Result<Vec<Self>, TenantsError> {
        let Some(names) = names else {
            let rows = sqlx::query_as!(
                Row,
                "select id, slug, name, is_active, time_zone from tenants where is_active order by slug"
            );
            return Ok(rows.fetch_all(conn).await?.into_iter().map(Self::from).collect());
        };
        let ids: Vec<Option<Uuid>> = names.iter().map(|name| name.parse().ok()).collect();
        let rows = sqlx::query_as!(
            Row,
            r#"select t.id, t.slug, t.name, t.is_active, t.time_zone
               from unnest($1::text[], $2::uuid[]) with ordinality as n (name, id, position)
               join tenants t on t.slug = n.name or t.id = n.id
               group by t.id order by min(n.position)"#,
            names,
            &ids as &[Option<Uuid>]
        )
        .fetch_all(conn)
        .await?;
        let tenants: Vec<Self> = rows.into_iter().map(Self::from).collect();
        let known: HashSet<String> =
            tenants.iter().flat_map(|tenant| [tenant.slug.0.clone(), tenant.id.to_string()]).collect();
        let unknown = names.iter().zip(ids).filter(|(name, id)| {
            !known.contains(*name) && !id.is_some_and(|id| known.contains(&id.to_string()))
        });
        let unknown: Vec<String> = unknown.map(|(name, _)| name.clone()).collect();
        if !unknown.is_empty() {
            return Err(TenantsError::Unknown(unknown));
        }
        let inactive = tenants.iter().filter(|tenant| !tenant.is_active);
        let inactive: Vec<TenantSlug> = inactive.map(|tenant| tenant.slug.clone()).collect();
        if inactive.is_empty() { Ok(tenants) } else { Err(TenantsError::Inactive(inactive)) }
    }

    /// The tenant a job is for; a job for one that is gone can never succeed.
    pub(crate) async fn load(conn: &mut PgConnection, slug: &TenantSlug) -> Result<Self, JobError> {
        Self::find(conn, &slug.0)
            .await?
            .ok_or_else(|| JobError::discard("unknown_tenant", format!("no tenant {:?}", slug.0)))
    }
}
