//! The tenants that command lines name.

use anyhow::anyhow;
use sqlx::PgPool;
use weirgate_identity::Tenant;

/// The tenant that somebody named on the command line.
pub(super) async fn tenant(pool: &PgPool, slug_or_id: &str) -> anyhow::Result<Tenant> {
    let found = Tenant::find(&mut *pool.acquire().await?, slug_or_id).await?;
    found.ok_or_else(|| no_tenant(slug_or_id))
}

/// Says that there is none of this name, and where the names are.
pub(super) fn no_tenant(name: &str) -> anyhow::Error {
    anyhow!(
        "no tenant {name:?}; `weirgate tenants list` shows them, `weirgate seed` creates those of tenants.json"
    )
}
