//! `backfills`: look at backfills and act on them.

use std::cell::Cell;

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use weirgate_identity::audit::{Actor, Change, Subject};
use weirgate_queue::{JobState, backfill};

use super::backfill::{fetch, leave, watch};
use super::backfill_shown::Backfill;
use super::door::Door;
use super::remote;
use super::session::Session;
use super::table::{instant, say_table, table};
use crate::cli::Backfills;
use crate::output::say;
use crate::pauses::{Pausable, set_paused};

pub(super) async fn run(command: Backfills, session: &Session) -> anyhow::Result<()> {
    let watched = if let Backfills::Show { id, watch: true } = command { Some(id) } else { None };
    let ended = session.with_door("backfills", async |door| show(command, door).await);
    leave(ended.await, watched, session)
}

async fn show(command: Backfills, door: Door<'_>) -> anyhow::Result<()> {
    match command {
        Backfills::List { limit } => print_list(list(door, limit).await?),
        Backfills::Show { id, watch: false } => {
            say!("{}", serde_json::to_string_pretty(&fetch(door, id).await?)?)
        }
        Backfills::Show { id, watch: true } => watch(door, id).await,
        Backfills::Pause { id } => act(door, id, Verb::Pause).await,
        Backfills::Resume { id } => act(door, id, Verb::Resume).await,
        Backfills::Cancel { id } => act(door, id, Verb::Cancel).await,
        Backfills::RetryFailed { id } => act(door, id, Verb::RetryFailed).await,
    }
}

/// What is done to a backfill.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Pause,
    Resume,
    Cancel,
    RetryFailed,
}

impl Verb {
    /// As the API has it.
    fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::RetryFailed => "retry_failed",
        }
    }
}

async fn list(door: Door<'_>, limit: i64) -> anyhow::Result<Vec<Backfill>> {
    match door {
        Door::Database(database) => {
            let rows = backfill::list(&mut *database.pool.acquire().await?, None, limit).await?;
            Ok(rows.iter().map(|row| Backfill::of(row, database.catalog)).collect::<Result<_, _>>()?)
        }
        Door::Server(client) => remote::backfills::list(client, usize::try_from(limit)?).await,
    }
}

async fn act(door: Door<'_>, id: Uuid, verb: Verb) -> anyhow::Result<()> {
    let any = match door {
        Door::Database(database) => act_on_database(&database.pool, id, verb).await?,
        Door::Server(client) => {
            // The answer does not tell whether there was anything to retry.
            let before = fetch(door, id).await?;
            remote::backfills::act(client, id, verb.name()).await?;
            verb != Verb::RetryFailed || before.count(JobState::Discarded) > 0
        }
    };
    if !any {
        say!("it has no discarded jobs")?;
    }
    say!("{id} is {}", fetch(door, id).await?.facts.state)
}

/// Whether there was anything to do.
async fn act_on_database(pool: &PgPool, id: Uuid, verb: Verb) -> anyhow::Result<bool> {
    let any = Cell::new(true);
    match verb {
        Verb::Pause | Verb::Resume => {
            let mut tx = pool.begin().await?;
            set_paused(&mut tx, &Actor::cli(), Pausable::Backfill(id), verb == Verb::Pause).await?;
            tx.commit().await?;
        }
        Verb::Cancel => {
            note(pool, id, "backfill.cancel", backfill::request_cancel).await?;
            backfill::cancel(pool, id).await?;
        }
        Verb::RetryFailed => {
            let retry = async |conn: &mut PgConnection, id| {
                any.set(backfill::retry_failed(conn, id).await?);
                Ok(())
            };
            note(pool, id, "backfill.retry_failed", retry).await?;
        }
    }
    Ok(any.get())
}

/// Does `verb` to a backfill.
async fn note(
    pool: &PgPool,
    id: Uuid,
    action: &str,
    verb: impl AsyncFnOnce(&mut PgConnection, Uuid) -> weirgate_queue::Result<()>,
) -> anyhow::Result<()> {
    let mut tx = pool.begin().await?;
    let change = Change::begin(&mut tx, Subject::Backfill(id)).await?;
    verb(&mut tx, id).await?;
    change.note(&mut tx, &Actor::cli(), action, &["state"]).await?;
    tx.commit().await?;
    Ok(())
}

fn print_list(backfills: Vec<Backfill>) -> anyhow::Result<()> {
    let mut table = table(&["ID", "KIND", "STATE", "DONE", "OF", "FROM", "TO", "CREATED"]);
    for Backfill { spec, facts } in backfills {
        table.add_row([
            facts.id.to_string(),
            facts.kind,
            facts.state.to_string(),
            facts.done.to_string(),
            facts.total.to_string(),
            spec.from.to_string(),
            spec.to.to_string(),
            instant(facts.created_at),
        ]);
    }
    say_table(&table, "there are no backfills yet")
}
