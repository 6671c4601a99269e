//! The histories of the schemas, and the lock that whoever migrates holds.

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::{PgConnection, PgPool};

/// A schema, and the migrations that make it.
#[derive(Debug)]
pub struct History {
    /// Name of the schema.
    pub schema: &'static str,
    /// Its migrations, which know their bookkeeping table.
    pub migrator: &'static Migrator,
}

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

impl History {
    /// Versions and names of its migrations, in order.
    pub fn ups(&self) -> impl Iterator<Item = (i64, &'static str)> + use<> {
        let ups = self.migrator.iter().filter(|it| !it.migration_type.is_down_migration());
        ups.map(|it| (it.version, it.description.as_ref()))
    }

    /// The newest version.
    #[must_use]
    pub fn newest(&self) -> i64 {
        self.ups().map(|(version, _)| version).max().unwrap_or(0)
    }

    /// Versions that are applied to a database. Writes nothing.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn applied(&self, conn: &mut PgConnection) -> Result<Vec<i64>, MigrateError> {
        let table = self.migrator.table_name.as_ref();
        let is_there: bool = sqlx::query_scalar("select to_regclass($1) is not null")
            .bind(table)
            .fetch_one(&mut *conn)
            .await?;
        let applied = if is_there { conn.list_applied_migrations(table).await? } else { Vec::new() };
        Ok(applied.into_iter().map(|it| it.version).collect())
    }

    pub(super) async fn newest_applied(&self, conn: &mut PgConnection) -> Result<i64, MigrateError> {
        Ok(self.applied(conn).await?.into_iter().max().unwrap_or(0))
    }

    /// Versions that are known here and not applied there. Writes nothing, as others may be about to.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn pending(&self, conn: &mut PgConnection) -> Result<Vec<i64>, MigrateError> {
        let applied = self.applied(conn).await?;
        Ok(self.ups().map(|(version, _)| version).filter(|version| !applied.contains(version)).collect())
    }
}

/// The histories of all schemas, each after those that it builds on.
pub static HISTORIES: [History; 3] = [
    History { schema: "queue", migrator: &weirgate_queue::MIGRATOR },
    History { schema: "identity", migrator: &weirgate_identity::MIGRATOR },
    History { schema: "msp", migrator: &weirgate_msp::MIGRATOR },
];

/// A connection that alone may migrate. The lock is the session's: the connection ends where it is
/// dropped, however that comes about, and the lock with it.
pub(super) async fn lock(pool: &PgPool) -> Result<PgConnection, MigrateError> {
    let mut conn = pool.acquire().await?.detach();
    // A migration takes as long as there is data, and so does the wait for another one.
    sqlx::raw_sql("set statement_timeout = 0").execute(&mut conn).await?;
    conn.lock().await?;
    Ok(conn)
}
