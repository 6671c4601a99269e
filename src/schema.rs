//! The schema's state, and bringing it up to date while others may be at the same.

use std::time::Duration;

use anyhow::{Context, bail};
use sqlx::migrate::{Migrate, MigrateError};
use sqlx::{Connection, PgConnection, PgPool};

use crate::database::MIGRATIONS;

/// How often a migration is tried again that met one of another database of the same server.
const TRIES: u32 = 50;

/// Applies what is missing; returns how many migrations that were. Of several that do so at once, one applies them and
/// the others wait for it.
///
/// # Errors
/// When a migration fails, or an applied one has changed since.
pub(crate) async fn bring_up_to_date(pool: &PgPool) -> anyhow::Result<usize> {
    let mut tries = 0;
    loop {
        tries += 1;
        match apply(pool).await {
            Err(error) if tries < TRIES && met_another(&error) => {
                tracing::info!(%error, "another database of this server is migrated at the same time; trying again");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) if may_not_make_roles(&error) => {
                let user: String =
                    sqlx::query_scalar("select quote_ident(current_user)").fetch_one(pool).await?;
                bail!(
                    "migrating the database: the role {user} may not make the role that reads for tenants. As an administrator of \
                     the server, run these two commands, and then migrate again:\n  \
                     create role weirgate_tenant nologin;\n  grant weirgate_tenant to {user};"
                );
            }
            ended => return ended.context("migrating the database"),
        }
    }
}

/// The first migration makes a role, or makes us a member of it.
fn may_not_make_roles(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else {
        return false;
    };
    error.as_database_error().is_some_and(|error| {
        let about_roles = ["create role", "weirgate_tenant"].iter().any(|it| error.message().contains(it));
        error.code().as_deref() == Some("42501") && about_roles
            || error.message().contains("may not act as weirgate_tenant")
    })
}

async fn apply(pool: &PgPool) -> Result<usize, MigrateError> {
    // The lock is the session's. This one ends here, whatever comes, and the lock with it.
    let mut conn = pool.acquire().await?.detach();
    // A migration takes as long as there is data, and so does the wait for another one.
    sqlx::raw_sql("set statement_timeout = 0").execute(&mut conn).await?;
    conn.lock().await?;
    let missing = pending(&mut conn).await?.len();
    MIGRATIONS.run_direct(None, &mut conn, false).await?;
    conn.close().await?;
    Ok(missing)
}

/// Versions that are known here and not applied there. Writes nothing, as others may be about to.
///
/// # Errors
/// When the database cannot be asked.
pub(crate) async fn pending(conn: &mut PgConnection) -> Result<Vec<i64>, MigrateError> {
    let table = MIGRATIONS.table_name.as_ref();
    let is_there: bool =
        sqlx::query_scalar("select to_regclass($1) is not null").bind(table).fetch_one(&mut *conn).await?;
    let applied = if is_there { conn.list_applied_migrations(table).await? } else { Vec::new() };
    let known = MIGRATIONS.iter().filter(|it| !it.migration_type.is_down_migration()).map(|it| it.version);
    Ok(known.filter(|version| !applied.iter().any(|it| it.version == *version)).collect())
}

/// Roles belong to the whole server, and the lock to one database: migrations of two of them may write the same row of
/// the server's catalog. The one that is refused was rolled back, and finds what the other wrote when it is tried again.
fn met_another(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else {
        return false;
    };
    error.as_database_error().is_some_and(|error| {
        let of_the_catalog = error.constraint().is_some_and(|name| name.starts_with("pg_"));
        match error.code().as_deref() {
            Some("XX000") => error.message().contains("concurrently"),
            Some("23505") => of_the_catalog,
            // The role is there now; a deadlock; a serialization failure.
            Some("42710" | "40P01" | "40001") => true,
            _ => false,
        }
    })
}
