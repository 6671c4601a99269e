//! `migrate`: the schema's history, forwards and backwards.

use anyhow::bail;
use serde_json::json;
use weirgate_identity::audit::Actor;
use weirgate_queue::database::history;

use super::confirm;
use super::session::Session;
use crate::cli::Migrate;
use crate::database::{Database, MIGRATIONS, pending_migrations, ups};
use crate::output::say;

/// The version from which on the audit has what an entry of a migration says.
const AUDIT_SINCE: i64 = 26;

pub(super) async fn run(command: Migrate, session: &Session) -> anyhow::Result<()> {
    let act = async |database: &Database| match command {
        Migrate::Up => {
            let applied = database.migrate().await?;
            say!("{applied} applied; the schema is up to date")
        }
        Migrate::Down { to, yes } => down(database, to, yes).await,
        Migrate::Status => status(database).await,
        Migrate::Rebase => rebase(database).await,
    };
    session.with_any_database("migrate", act).await
}

async fn rebase(database: &Database) -> anyhow::Result<()> {
    database.require_migrated().await?;
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
        say!("{sequences} stood behind the rows of their tables and were set past them")?;
    }
    Ok(())
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

async fn down(database: &Database, to: Option<i64>, yes: bool) -> anyhow::Result<()> {
    let pending = pending_migrations(&database.pool).await?;
    let applied: Vec<i64> =
        ups().map(|(version, _)| version).filter(|version| !pending.contains(version)).collect();
    let Some(newest) = applied.last() else { bail!("no migration is applied") };
    let target = to.unwrap_or_else(|| applied.iter().rev().nth(1).copied().unwrap_or(0));
    if target >= *newest {
        bail!("--to {target}: the newest applied migration is {newest}; nothing is after {target}");
    }
    let undone = counted(applied.iter().filter(|version| **version > target).count(), "migration");
    let what =
        format!("this undoes {undone} down to version {target} and deletes the data that came with them");
    confirm::ask(&what, yes).await?;
    // Before it is done: the table itself may be undone.
    if *newest >= AUDIT_SINCE {
        let mut conn = database.pool.acquire().await?;
        Actor::cli().note_migration(&mut conn, "schema.down", *newest, target).await?;
    }
    MIGRATIONS.undo(&database.pool, target).await?;
    say!("undone down to version {target}")
}

async fn status(database: &Database) -> anyhow::Result<()> {
    let pending = pending_migrations(&database.pool).await?;
    for (version, description) in ups() {
        let state = if pending.contains(&version) { "pending" } else { "applied" };
        say!("{version:04}  {state}  {description}")?;
    }
    Ok(())
}
