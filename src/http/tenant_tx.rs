//! A tenant's reads: a transaction that sees the rows of one tenant only, whatever its queries ask for.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use crate::http::Api;
use crate::http::auth::Tenant;
use crate::http::problem::Problem;
use crate::http::slots::Slot;

/// How long one of its statements may take. Each is bounded by what it reads, so this ends only what waits for a lock or a slow disk.
const STATEMENT_LIMIT: &str = "5s";

/// Runs as the role `weirgate_tenant`, under row-level security, and cannot write. Ends when dropped.
#[derive(Debug)]
pub(crate) struct TenantTx {
    tx: Transaction<'static, Postgres>,
    /// Given back after the connection.
    slot: Option<Slot>,
}

impl TenantTx {
    /// A read that the tenant asks for. Each tenant has a bounded number of them at once.
    pub(crate) async fn begin(api: &Api, tenant: &Tenant) -> Result<Self, Problem> {
        let slot = api.slots.of_tenant(tenant.id).await?;
        let mut read = Self::of_operator(&api.pool, tenant).await?;
        read.slot = Some(slot);
        Ok(read)
    }

    /// A read of the tenant's data that an operator asks for.
    pub(crate) async fn of_operator(pool: &PgPool, tenant: &Tenant) -> sqlx::Result<Self> {
        let mut tx = pool.begin().await?;
        sqlx::query!(
            "select set_config('transaction_read_only', 'on', true) as a, set_config('role', 'weirgate_tenant', true) as b,
                set_config('app.current_tenant', $1, true) as c, set_config('statement_timeout', $2, true) as d",
            tenant.id.to_string(),
            STATEMENT_LIMIT
        )
        .fetch_one(&mut *tx)
        .await?;
        Ok(Self { tx, slot: None })
    }

    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// The instants between which the days from `from` to `to` lie, in the tenant's time zone; `None` is open.
    pub(crate) async fn days(
        &mut self,
        from: Option<NaiveDate>,
        to: Option<NaiveDate>,
    ) -> Result<Instants, Problem> {
        let instants = sqlx::query_as!(
            Instants,
            r#"select $1::date::timestamp at time zone time_zone as "from",
                ($2::date + 1)::timestamp at time zone time_zone as until
             from tenants"#,
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
