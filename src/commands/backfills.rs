//! `backfills`: look at backfills and act on them.

use std::cell::Cell;

use serde_json::{Map, Value, json};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use weirgate_jobs::BackfillKind;
use weirgate_queue::backfill::{self, Backfill};

use super::backfill::{leave, look, watch};
use super::session::Session;
use super::{instant, table};
use crate::audit::{Actor, Change, Subject};
use crate::cli::Backfills;
use crate::output::say;

pub(super) async fn run(command: Backfills, session: &Session) -> anyhow::Result<()> {
    let watched = if let Backfills::Show { id, watch: true } = command { Some(id) } else { None };
    let ended = session.with_database("backfills", async |database| show(command, &database.pool).await);
    leave(ended.await, watched)
}

async fn show(command: Backfills, pool: &PgPool) -> anyhow::Result<()> {
    let id = match command {
        Backfills::List { limit } => {
            return print_list(backfill::list(&mut *pool.acquire().await?, None, limit).await?);
        }
        Backfills::Show { id, watch: false } => {
            return say!("{}", serde_json::to_string_pretty(&describe(&look(pool, id).await?))?);
        }
        Backfills::Show { id, watch: true } => return watch(pool, id).await,
        Backfills::Pause { id } => act(pool, id, "backfill.pause", backfill::pause).await?,
        Backfills::Resume { id } => act(pool, id, "backfill.resume", backfill::resume).await?,
        Backfills::Cancel { id } => {
            act(pool, id, "backfill.cancel", backfill::begin_cancel).await?;
            backfill::cancel(pool, id).await?;
            id
        }
        Backfills::RetryFailed { id } => {
            let any = Cell::new(true);
            let retry = async |conn: &mut PgConnection, id| {
                any.set(backfill::retry_failed(conn, id).await?);
                Ok(())
            };
            act(pool, id, "backfill.retry_failed", retry).await?;
            if !any.get() {
                say!("none of its jobs is discarded")?;
            }
            id
        }
    };
    say!("{id} is {}", look(pool, id).await?.state)
}

/// Does `verb` to a backfill.
async fn act(
    pool: &PgPool,
    id: Uuid,
    action: &str,
    verb: impl AsyncFnOnce(&mut PgConnection, Uuid) -> weirgate_queue::Result<()>,
) -> anyhow::Result<Uuid> {
    let mut tx = pool.begin().await?;
    let change = Change::begin(&mut tx, Subject::Backfill(id)).await?;
    verb(&mut tx, id).await?;
    change.note(&mut tx, &Actor::cli(), action, &["state"]).await?;
    tx.commit().await?;
    Ok(id)
}

fn print_list(backfills: Vec<Backfill>) -> anyhow::Result<()> {
    let mut table = table(&["ID", "KIND", "STATE", "DONE", "OF", "FROM", "TO", "CREATED"]);
    for it in backfills {
        let day = |name: &str| it.spec[name].as_str().unwrap_or_default().to_owned();
        let created = instant(it.created_at);
        let (done, total) = (it.done.to_string(), it.total.to_string());
        let (from, to) = (day("from"), day("to"));
        table.add_row([
            it.id.to_string(),
            BackfillKind::name_of(&it.kind).to_owned(),
            it.state.to_string(),
            done,
            total,
            from,
            to,
            created,
        ]);
    }
    say!("{table}")
}

/// A backfill as an operator on the database's host sees it.
fn describe(backfill: &Backfill) -> Value {
    let kind = BackfillKind::name_of(&backfill.kind);
    let counts: Map<String, Value> =
        backfill.counts.iter().map(|(state, count)| (state.to_string(), count.into())).collect();
    json!({
        "id": backfill.id, "kind": kind, "state": backfill.state, "spec": backfill.spec,
        "share": backfill.settings.share, "max_running": backfill.settings.max_running,
        "priority": backfill.priority, "total": backfill.total, "expanded": backfill.expanded,
        "skipped": backfill.skipped, "done": backfill.done, "fraction": backfill.fraction(), "jobs": backfill.jobs,
        "counts": counts, "rate_per_s": backfill.rate, "estimated_finish": backfill.estimated_finish,
        "created_at": backfill.created_at, "cancelled_at": backfill.cancelled_at, "finished_at": backfill.finished_at,
    })
}
