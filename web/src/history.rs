//! The history of a schema, which the engine, the tenants and each domain have one of.

use sqlx::PgConnection;
use sqlx::migrate::{Migrate, MigrateError, Migrator};

/// A schema, and the migrations that make it.
#[derive(Debug, Clone, Copy)]
pub struct History {
    /// Name of the schema.
    pub schema: &'static str,
    /// Its migrations, which know their bookkeeping table.
    pub migrator: &'static Migrator,
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

    /// The newest version that is applied to a database; 0 where none is.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn newest_applied(&self, conn: &mut PgConnection) -> Result<i64, MigrateError> {
        Ok(self.applied(conn).await?.into_iter().max().unwrap_or(0))
    }

    /// Versions that are known here and not applied there. Writes nothing, as others may be about
    /// to.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn pending(&self, conn: &mut PgConnection) -> Result<Vec<i64>, MigrateError> {
        let applied = self.applied(conn).await?;
        Ok(self.ups().map(|(version, _)| version).filter(|version| !applied.contains(version)).collect())
    }
}
