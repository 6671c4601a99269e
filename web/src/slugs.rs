//! The slugs of tenants, for answers that name them. A slug never changes, so one that was seen
//! stays true.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use sqlx::PgPool;
use uuid::Uuid;
use weirgate_identity::{SYSTEM_SLUG, SYSTEM_TENANT};

/// Slugs by the ids of their tenants. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Slugs {
    pool: PgPool,
    known: Arc<RwLock<HashMap<Uuid, Arc<str>>>>,
}

impl Slugs {
    /// None is known yet.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, known: Arc::default() }
    }

    /// The slug of a tenant; the id of one that is gone.
    pub async fn of(&self, tenant: Uuid) -> sqlx::Result<Arc<str>> {
        if tenant == SYSTEM_TENANT {
            return Ok(SYSTEM_SLUG.into());
        }
        let known = self.known.read().get(&tenant).cloned();
        if let Some(slug) = known {
            return Ok(slug);
        }
        let slug = sqlx::query_scalar!("select slug from identity.tenants where id = $1", tenant)
            .fetch_optional(&self.pool)
            .await?;
        let Some(slug) = slug else { return Ok(tenant.to_string().into()) };
        let slug: Arc<str> = slug.into();
        self.known.write().insert(tenant, slug.clone());
        Ok(slug)
    }
}
