//! A tenant's reads: a transaction that sees the rows of one tenant only, whatever its queries ask for.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, PgPool};

use crate::http::Api;
use crate::http::auth::Tenant;
use crate::http::problem::Problem;
use crate::http::read_tx::ReadTx;

/// Runs as the role `weirgate_tenant`, under row-level security, and cannot write. Ends when dropped. The policies also hide rows that
/// their source has deleted, so that no query needs to.
#[derive(Debug)]
pub(crate) struct TenantTx(ReadTx);

impl TenantTx {
    /// A read that the tenant asks for. Each tenant has a bounded number of them at once.
    pub(crate) async fn begin(api: &Api, tenant: &Tenant) -> Result<Self, Problem> {
        Ok(Self::under(ReadTx::for_tenant(api, tenant.id).await?, tenant).await?)
    }

    /// A read of the tenant's data that the service token asks for.
    pub(crate) async fn of_service(api: &Api, tenant: &Tenant) -> Result<Self, Problem> {
        Ok(Self::under(ReadTx::of_service(api).await?, tenant).await?)
    }

    /// A read of the tenant's data that an operator asks for.
    pub(crate) async fn of_operator(pool: &PgPool, tenant: &Tenant) -> sqlx::Result<Self> {
        Self::under(ReadTx::about_tenant(pool).await?, tenant).await
    }

    async fn under(mut read: ReadTx, tenant: &Tenant) -> sqlx::Result<Self> {
        sqlx::query!(
            "select set_config('role', 'weirgate_tenant', true) as a, set_config('weirgate.tenant', $1, true) as b",
            tenant.id.to_string()
        )
        .fetch_one(read.conn())
        .await?;
        Ok(Self(read))
    }

    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        self.0.conn()
    }

    /// The instants between which the days from `from` to `to` lie, in the tenant's time zone; `None` is open.
    pub(crate) async fn days(
        &mut self,
        from: Option<NaiveDate>,
        to: Option<NaiveDate>,
    ) -> Result<Instants, Problem> {
        let instants = sqlx::query_as!(
            Instants,
            r#"select identity.local_day_start($1, time_zone) as "from", identity.local_day_start($2::date + 1, time_zone) as until
             from identity.tenants"#,
            from,
            to
        )
        .fetch_one(self.conn())
        .await?;
        Ok(instants)
    }
}

/// From an instant (inclusive) until another (exclusive).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instants {
    pub(crate) from: Option<DateTime<Utc>>,
    pub(crate) until: Option<DateTime<Utc>>,
}
