//! Reads within a caller's share of the database: each holds one of its permits until its
//! connection is free again.

use std::sync::Arc;

use sqlx::PgPool;
use uuid::Uuid;
use weirgate_identity::read_tx::{OF_SERVICE, OF_TENANT, ReadTx};
use weirgate_identity::tenant_tx::TenantTx;

use crate::permits::Permits;
use crate::problem::Problem;

/// Begins reads. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reads {
    pool: PgPool,
    permits: Arc<Permits>,
}

impl Reads {
    pub fn new(pool: PgPool, permits: Arc<Permits>) -> Self {
        Self { pool, permits }
    }

    /// A read that the service token asks for.
    pub async fn of_service(&self) -> Result<ReadTx, Problem> {
        let permit = self.permits.of_service().await?;
        Ok(ReadTx::begin(&self.pool, permit, OF_SERVICE).await?)
    }

    /// A read that a tenant asks for, of what is not its own alone.
    pub async fn for_tenant(&self, tenant: Uuid) -> Result<ReadTx, Problem> {
        let permit = self.permits.of_tenant(tenant).await?;
        Ok(ReadTx::begin(&self.pool, permit, OF_TENANT).await?)
    }

    /// A read that the tenant asks for, which sees its rows alone. Each tenant has a bounded number
    /// of them at once.
    pub async fn under_tenant(&self, tenant: Uuid) -> Result<TenantTx, Problem> {
        Ok(TenantTx::under(self.for_tenant(tenant).await?, tenant).await?)
    }

    /// A read that the service token asks for, which sees the tenant's rows alone.
    pub async fn of_service_under(&self, tenant: Uuid) -> Result<TenantTx, Problem> {
        Ok(TenantTx::under(self.of_service().await?, tenant).await?)
    }
}
