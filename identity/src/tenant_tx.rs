//! A tenant's reads: a transaction that sees the rows of one tenant only, whatever its queries ask
//! for.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::read_tx::ReadTx;

/// Runs as the role `weirgate_tenant`, under row-level security, and cannot write. Ends when
/// dropped. The policies also hide rows that their source has deleted, so that no query needs to.
#[derive(Debug)]
pub struct TenantTx(ReadTx);

impl TenantTx {
    /// A read of the tenant's data that an operator asks for.
    pub async fn of_operator(pool: &PgPool, tenant: Uuid) -> sqlx::Result<Self> {
        Self::under(ReadTx::about_tenant(pool).await?, tenant).await
    }

    /// The read, from now on of this tenant alone.
    pub async fn under(mut read: ReadTx, tenant: Uuid) -> sqlx::Result<Self> {
        sqlx::query!(
            "select set_config('role', 'weirgate_tenant', true) as a, set_config('weirgate.tenant', $1, true) as b",
            tenant.to_string()
        )
        .fetch_one(read.conn())
        .await?;
        Ok(Self(read))
    }

    pub fn conn(&mut self) -> &mut PgConnection {
        self.0.conn()
    }

    /// The instants between which the days from `from` to `to` lie, in the tenant's time zone;
    /// `None` is open.
    pub async fn days(&mut self, from: Option<NaiveDate>, to: Option<NaiveDate>) -> sqlx::Result<Instants> {
        sqlx::query_as!(
            Instants,
            r#"select identity.local_day_start($1, time_zone) as "from", identity.local_day_start($2::date + 1, time_zone) as until
             from identity.tenants"#,
            from,
            to
        )
        .fetch_one(self.conn())
        .await
    }
}

/// From an instant (inclusive) until another (exclusive).
#[derive(Debug, Clone, Copy)]
pub struct Instants {
    pub from: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
}
