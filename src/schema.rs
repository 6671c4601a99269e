//! The schemas' histories, and bringing a database up to date while others may do so too.
//!
//! Each schema has one linear history with a bookkeeping table of its own. They build on each other
//! in the order of the list that is handed in: none names a schema that comes after it.

mod adopt;
mod history;

use std::time::Duration;

use anyhow::{Context, bail};
use sqlx::migrate::MigrateError;
use sqlx::{Connection, PgConnection, PgPool};
use weirgate_web::history::History;

pub(crate) use self::adopt::{adopt, refuse_old_history};
pub use self::history::Step;

use self::history::lock;

/// How often a migration is tried again that met one of another database of the same server.
const TRIES: u32 = 50;

/// The roles that migrations make: one reads for a tenant, one writes for a tenant, one reads all.
const ROLES: [&str; 3] = ["weirgate_tenant", "weirgate_desk", "weirgate_super"];

/// The histories of the engine and the tenants, and those of the domains, which build on them.
pub fn histories(of_domains: impl IntoIterator<Item = History>) -> Vec<History> {
    let own = [
        History { schema: "queue", migrator: &weirgate_queue::MIGRATOR },
        History { schema: "identity", migrator: &weirgate_identity::MIGRATOR },
    ];
    own.into_iter().chain(of_domains).collect()
}

/// Applies what is missing; returns what that was. Of several that do so at once, one applies the
/// migrations and the others wait for it.
///
/// # Errors
/// When a migration fails, an applied one has changed since, or the database is of the old history.
pub(crate) async fn bring_up_to_date(pool: &PgPool, histories: &[History]) -> anyhow::Result<Vec<Step>> {
    refuse_old_history(&mut *pool.acquire().await?).await?;
    let mut tries = 0;
    loop {
        tries += 1;
        match apply_locked(pool, histories).await {
            Err(error) if tries < TRIES && met_another(&error) => {
                tracing::info!(%error, "another database of this server is migrated at the same time; trying again");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) if may_not_make_roles(&error) => {
                let (user, commands) = missing_roles(pool).await?;
                bail!(
                    "migrating the database: the role {user} may not make the roles that read and write for tenants. As an \
                     administrator of the server, run these commands, and then migrate again:\n  {}",
                    commands.join("\n  ")
                );
            }
            ended => return ended.context("migrating the database"),
        }
    }
}

/// The role that migrates, and what an administrator has to run so that it may act as each of
/// [`ROLES`].
async fn missing_roles(pool: &PgPool) -> sqlx::Result<(String, Vec<String>)> {
    let mut commands = Vec::new();
    let user: String = sqlx::query_scalar("select quote_ident(current_user)").fetch_one(pool).await?;
    for role in ROLES {
        let (is_there, is_ours): (bool, bool) = sqlx::query_as(
            "select count(*) > 0, coalesce(bool_or(pg_has_role(oid, 'member')), false) from pg_roles where rolname = $1",
        )
        .bind(role)
        .fetch_one(pool)
        .await?;
        if !is_there {
            commands.push(format!("create role {role} nologin;"));
        }
        if !is_ours {
            commands.push(format!("grant {role} to {user};"));
        }
    }
    Ok((user, commands))
}

/// Two migrations make roles, or make us a member of them.
fn may_not_make_roles(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else {
        return false;
    };
    error.as_database_error().is_some_and(|error| {
        let says = |text: &str| error.message().contains(text);
        let about_roles = says("create role") || ROLES.iter().any(|role| says(role));
        error.code().as_deref() == Some("42501") && about_roles
            || ROLES.iter().any(|role| says(&format!("may not act as {role}")))
    })
}

async fn apply_locked(pool: &PgPool, histories: &[History]) -> Result<Vec<Step>, MigrateError> {
    let mut conn = lock(pool).await?;
    let steps = apply(&mut conn, histories).await?;
    conn.close().await?;
    Ok(steps)
}

/// Applies what is missing on this connection; returns what that was, by schema.
///
/// # Errors
/// When a migration fails, or an applied one has changed since.
pub async fn apply(conn: &mut PgConnection, histories: &[History]) -> Result<Vec<Step>, MigrateError> {
    let mut steps = Vec::new();
    for history in histories {
        let (applied, missing) = (history.newest_applied(conn).await?, history.pending(conn).await?.len());
        history.migrator.run_direct(None, conn, false).await?;
        if missing > 0 {
            steps.push(Step {
                schema: history.schema,
                from: applied,
                to: history.newest(),
                migrations: missing,
            });
        }
    }
    Ok(steps)
}

/// Undoes all migrations, with all data.
///
/// # Errors
/// When a migration cannot be undone.
pub async fn undo_all(conn: &mut PgConnection, histories: &[History]) -> Result<(), MigrateError> {
    for history in histories.iter().rev() {
        history.migrator.undo(&mut *conn, 0).await?;
    }
    Ok(())
}

/// Number of migrations that are known here and not applied there. Writes nothing, as others may be
/// about to.
///
/// # Errors
/// When the database cannot be asked.
pub(crate) async fn pending(conn: &mut PgConnection, histories: &[History]) -> Result<usize, MigrateError> {
    let mut pending = 0;
    for history in histories {
        pending += history.pending(conn).await?.len();
    }
    Ok(pending)
}

/// Roles belong to the whole server, and the lock to one database: migrations of two of them may
/// write the same row of the server's catalog. The one that is refused was rolled back, and finds
/// what the other wrote when it is tried again.
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
