//! `migrate`: the schemas' histories, forwards and backwards.

use anyhow::{Context, bail};
use serde_json::json;
use sqlx::PgConnection;
use weirgate_identity::audit::Actor;
use weirgate_queue::control::history;
use weirgate_web::history::History;

use super::confirm;
use super::session::Session;
use crate::cli::Migrate;
use crate::database::Database;
use crate::domains;
use crate::output::say;
use crate::schema;

pub(super) async fn run(command: Migrate, session: &Session) -> anyhow::Result<()> {
    let act = async |database: &Database| match command {
        Migrate::Up => {
            let applied = database.migrate(&domains::histories()).await?;
            say!("{applied} applied; the schema is up to date")
        }
        Migrate::Adopt => {
            schema::adopt(&database.pool, &domains::histories()).await?;
            say!("adopted with all its data: its tables are in the schemas queue, identity and msp")?;
            let applied = database.migrate(&domains::histories()).await.context(
                "the tables are taken over; what later versions added is missing: run `weirgate migrate up`",
            )?;
            say!("{applied} applied; the schema is up to date")
        }
        Migrate::Down { schema, to, yes } => down(database, schema.as_deref(), to, yes).await,
        Migrate::Status => status(database).await,
        Migrate::Rebase => rebase(database).await,
    };
    session.with_any_database("migrate", act).await
}

async fn rebase(database: &Database) -> anyhow::Result<()> {
    database.require_migrated(&domains::histories()).await?;
    let mut tx = database.pool.begin().await?;
    let rebased = history::rebase(&mut tx).await?;
    Actor::cli().note(&mut tx, "queue.rebase", "all", None, &json!({ "queues": rebased.queues })).await?;
    tx.commit().await?;
    match rebased.queues.as_slice() {
        [] => say!("there are no queues to rebuild yet; a new history of the database begins")?,
        queues => say!("{} rebuilt from the jobs: {}", counted(queues.len(), "queue"), queues.join(", "))?,
    }
    if rebased.advanced_sequences > 0 {
        let sequences = counted(usize::try_from(rebased.advanced_sequences)?, "sequence");
        say!("{sequences} behind the rows of their tables set past them")?;
    }
    Ok(())
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

async fn down(database: &Database, schema: Option<&str>, to: Option<i64>, yes: bool) -> anyhow::Result<()> {
    let mut conn = database.pool.acquire().await?;
    schema::refuse_old_history(&mut conn).await?;
    let (history, applied) = to_undo(&mut conn, schema).await?;
    let schema = history.schema;
    let Some(newest) = applied.last().copied() else {
        bail!("no migration of the schema {schema} is applied")
    };
    let target = to.unwrap_or_else(|| applied.iter().rev().nth(1).copied().unwrap_or(0));
    if target >= newest {
        bail!(
            "--to {target}: the newest applied migration of {schema} is {newest}; nothing is after {target}"
        );
    }
    let migrations = applied.iter().filter(|version| **version > target).count();
    let undone = counted(migrations, "migration");
    let what = format!(
        "this undoes {undone} of the schema {schema} down to version {target} and deletes the data that came with them"
    );
    confirm::ask(&what, yes).await?;
    // Before it is done: the table itself may be undone.
    Actor::cli().note_migration(&mut conn, "schema.down", schema, (newest, target)).await?;
    history.migrator.undo(&mut *conn, target).await?;
    say!("undone down to version {target} of the schema {schema}")
}

/// The schema of this name; without one, the last that has a migration. With the versions that are
/// applied.
async fn to_undo(conn: &mut PgConnection, schema: Option<&str>) -> anyhow::Result<(History, Vec<i64>)> {
    let mut chosen = None;
    for history in domains::histories() {
        let applied = history.applied(conn).await?;
        let is_chosen = schema.map_or(!applied.is_empty(), |name| name == history.schema);
        if is_chosen {
            chosen = Some((history, applied));
        }
    }
    match schema {
        Some(name) => {
            let schemas = domains::histories().iter().map(|it| it.schema).collect::<Vec<_>>().join(", ");
            chosen.with_context(|| format!("--schema {name}: there is no such schema; there are {schemas}"))
        }
        None => chosen.context("no migration is applied"),
    }
}

async fn status(database: &Database) -> anyhow::Result<()> {
    let mut conn = database.pool.acquire().await?;
    schema::refuse_old_history(&mut conn).await?;
    for history in domains::histories() {
        let pending = history.pending(&mut conn).await?;
        for (version, description) in history.ups() {
            let state = if pending.contains(&version) { "pending" } else { "applied" };
            say!("{:8}  {version:04}  {state}  {description}", history.schema)?;
        }
    }
    Ok(())
}
