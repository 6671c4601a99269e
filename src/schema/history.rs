//! What a migration does, and the lock that whoever migrates holds.

use sqlx::migrate::{Migrate, MigrateError};
use sqlx::{PgConnection, PgPool};

/// What was applied to one schema, or undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The schema.
    pub schema: &'static str,
    /// Its version before; 0 where nothing was applied.
    pub from: i64,
    /// Its version after.
    pub to: i64,
    /// How many migrations that were.
    pub migrations: usize,
}

/// A connection that alone may migrate. The lock is the session's: the connection ends where it is
/// dropped, however that comes about, and the lock with it.
pub(super) async fn lock(pool: &PgPool) -> Result<PgConnection, MigrateError> {
    let mut conn = pool.acquire().await?.detach();
    // A migration takes as long as there is data, and so does the wait for another one.
    sqlx::raw_sql("set statement_timeout = 0").execute(&mut conn).await?;
    conn.lock().await?;
    Ok(conn)
}
