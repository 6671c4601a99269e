//! A tenant's writes: a transaction of a job that can change the rows of one tenant only, whatever
//! its statements ask for.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use uuid::Uuid;

/// Runs as the role `weirgate_desk`, under row-level security: it reads, changes and adds rows of
/// the tenant alone, in the tables whose policies let that role do so. Rolled back when dropped.
///
/// The engine's tables are not among them. A job completes in the same transaction once the role is
/// set back:
///
/// ```no_run
/// # use weirgate_identity::desk_tx::DeskTx;
/// # use weirgate_queue::{JobContext, JobError};
/// # async fn example(pool: &sqlx::PgPool, tenant: uuid::Uuid, ctx: &JobContext<()>) -> Result<(), JobError> {
/// let mut desk = DeskTx::begin(pool, tenant).await?;
/// sqlx::query("update notes set is_read = true").execute(desk.conn()).await?;
/// ctx.finish_in(desk.done().await?, &()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DeskTx {
    tx: Transaction<'static, Postgres>,
    /// The role and the tenant of before.
    before: (String, String),
}

impl DeskTx {
    /// Begins a transaction that writes for `tenant`.
    pub async fn begin(pool: &PgPool, tenant: Uuid) -> sqlx::Result<Self> {
        Self::under(pool.begin().await?, tenant).await
    }

    /// The rest of a transaction, until [`done`](Self::done), for `tenant`.
    pub async fn under(mut tx: Transaction<'static, Postgres>, tenant: Uuid) -> sqlx::Result<Self> {
        // What was set before is read before it is changed, as it is the row that the settings are
        // made for.
        let row = sqlx::query!(
            r#"with before as materialized (
                   select current_setting('role') as role, coalesce(current_setting('weirgate.tenant', true), '') as tenant
               )
               select role as "role!", tenant as "tenant!",
                   set_config('role', 'weirgate_desk', true) as a, set_config('weirgate.tenant', $1, true) as b
               from before"#,
            tenant.to_string()
        )
        .fetch_one(&mut *tx)
        .await?;
        Ok(Self { tx, before: (row.role, row.tenant) })
    }

    pub fn conn(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// The transaction, with the role of before: for `finish_in`, and for whatever else the
    /// tenant's role may not do. What was written is part of it.
    pub async fn done(mut self) -> sqlx::Result<Transaction<'static, Postgres>> {
        let (role, tenant) = &self.before;
        sqlx::query!(
            "select set_config('role', $1, true) as a, set_config('weirgate.tenant', $2, true) as b",
            role,
            tenant
        )
        .fetch_one(&mut *self.tx)
        .await?;
        Ok(self.tx)
    }

    /// Commits what was written, where no job ends with it.
    pub async fn commit(self) -> sqlx::Result<()> {
        self.tx.commit().await
    }
}
