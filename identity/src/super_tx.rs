//! Reads over all tenants, for whoever is in charge of all of them.

use sqlx::{PgConnection, PgPool};

use crate::read_tx::ReadTx;

/// Runs as the role `weirgate_super`, which sees the rows of every tenant and no hash, token or
/// sealed value, and cannot write. Ends when dropped.
#[derive(Debug)]
pub struct SuperTx(ReadTx);

impl SuperTx {
    /// Begins a read.
    pub async fn begin(pool: &PgPool) -> sqlx::Result<Self> {
        Self::under(ReadTx::about_tenant(pool).await?).await
    }

    /// The read, from now on as that role.
    pub async fn under(mut read: ReadTx) -> sqlx::Result<Self> {
        sqlx::query!("select set_config('role', 'weirgate_super', true) as a").fetch_one(read.conn()).await?;
        Ok(Self(read))
    }

    pub fn conn(&mut self) -> &mut PgConnection {
        self.0.conn()
    }
}
