//! A tenant's reads: a transaction that sees the rows of one tenant only, whatever its queries ask for.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use crate::http::auth::Tenant;
use crate::http::problem::Problem;

/// Runs as the role `weirgate_tenant`, under row-level security, and cannot write. Ends when dropped.
#[derive(Debug)]
pub(crate) struct TenantTx(Transaction<'static, Postgres>);

impl TenantTx {
    pub(crate) async fn begin(pool: &PgPool, tenant: &Tenant) -> sqlx::Result<Self> {
        let mut tx = pool.begin().await?;
        sqlx::query!(
            "select set_config('transaction_read_only', 'on', true) as a, set_config('role', 'weirgate_tenant', true) as b,
                set_config('app.current_tenant', $1, true) as c",
            tenant.id.to_string()
        )
        .fetch_one(&mut *tx)
        .await?;
        Ok(Self(tx))
    }

    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        &mut self.0
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
