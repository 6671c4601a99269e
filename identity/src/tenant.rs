//! The tenant a job works for.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::read::JobFilter;
use weirgate_queue::{JobContext, JobError};

/// A tenant's name in URLs and in the files of its sources. It never changes.
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

/// A tenant in the arguments of a job: its id. Jobs that an earlier version enqueued have its slug.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantRef(String);

impl From<Uuid> for TenantRef {
    fn from(id: Uuid) -> Self {
        Self(id.to_string())
    }
}

impl From<&Tenant> for TenantRef {
    fn from(tenant: &Tenant) -> Self {
        tenant.id.into()
    }
}

impl From<&str> for TenantRef {
    fn from(slug_or_id: &str) -> Self {
        Self(slug_or_id.to_owned())
    }
}

/// The arguments of a job of the tenant `id` as people and clients see them: they know it by its
/// slug.
#[must_use]
pub fn shown_args(mut args: Value, id: Uuid, slug: &str) -> Value {
    if let Some(Value::String(tenant)) = args.get_mut("tenant")
        && tenant.parse() == Ok(id)
    {
        slug.clone_into(tenant);
    }
    args
}

/// Makes a filter find jobs by the slugs that [`shown_args`] shows, which do not stand in them.
pub async fn find_by_slug(conn: &mut PgConnection, filter: &mut JobFilter) -> sqlx::Result<()> {
    if let Some(name) = filter.args.get("tenant")
        && let Some(tenant) = Tenant::find(&mut *conn, name).await?
        && filter.tenant.is_none_or(|id| id == tenant.id)
    {
        filter.args.remove("tenant");
        filter.tenant = Some(tenant.id);
    }
    if let Some(text) = &filter.text {
        filter.text_tenants = sqlx::query_scalar!(
            "select id from identity.tenants where position(lower($1) in lower(slug)) > 0 order by slug limit $2",
            text,
            MOST_BY_SLUG
        )
        .fetch_all(conn)
        .await?;
    }
    Ok(())
}

/// Tenants that a text in a filter may name at once.
const MOST_BY_SLUG: i64 = 500;

/// The owner of jobs that are no single tenant's, such as bulk actions. It is no row of `tenants`
/// and has no key, so that nobody sees these jobs under `/v1`.
pub const SYSTEM_TENANT: Uuid = Uuid::nil();

/// What [`SYSTEM_TENANT`] is called where a tenant's slug stands; no tenant may have it.
pub const SYSTEM_SLUG: &str = "system";

/// A tenant as stored.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Permanent id.
    pub id: Uuid,
    /// Name in URLs and in the files of its sources; never changes.
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
            // An id goes before a slug that looks like it, as one of an earlier version may.
            "select id, slug, name, is_active, time_zone from identity.tenants where slug = $1 or id = $2
             order by coalesce(id = $2, false) desc limit 1",
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
            "select id, slug, name, is_active, time_zone from identity.tenants where slug = any($1) or id = any($2)",
            names,
            &ids as &[Option<Uuid>]
        )
        .fetch_all(conn)
        .await?;
        let tenants: Vec<Self> = rows.into_iter().map(Self::from).collect();
        let find = |(name, id): (&String, &Option<Uuid>)| {
            let by_id = tenants.iter().find(|tenant| Some(tenant.id) == *id);
            by_id.or_else(|| tenants.iter().find(|tenant| tenant.slug.0 == *name)).cloned()
        };
        Ok(names.iter().zip(&ids).map(find).collect())
    }

    /// The active tenants of these slugs or UUIDs, each once and in their order; every active one,
    /// by slug, where `names` is none.
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
                "select id, slug, name, is_active, time_zone from identity.tenants where is_active order by slug"
            );
            return Ok(rows.fetch_all(conn).await?.into_iter().map(Self::from).collect());
        };
        let ids: Vec<Option<Uuid>> = names.iter().map(|name| name.parse().ok()).collect();
        let rows = sqlx::query_as!(
            Row,
            r#"select t.id, t.slug, t.name, t.is_active, t.time_zone
               from unnest($1::text[], $2::uuid[]) with ordinality as n (name, id, position)
               join identity.tenants t on t.slug = n.name or t.id = n.id
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
    ///
    /// The job's own row decides: a slug in the arguments that an earlier version stored may have
    /// become another tenant's before slugs were kept from changing.
    pub async fn of_job<A>(
        conn: &mut PgConnection,
        ctx: &JobContext<A>,
        named: &TenantRef,
    ) -> Result<Self, JobError> {
        let name = ctx.run().map_or_else(|| named.0.clone(), |run| run.tenant.to_string());
        Self::find(conn, &name)
            .await?
            .ok_or_else(|| JobError::discard("unknown_tenant", format!("no tenant {name:?}")))
    }
}
