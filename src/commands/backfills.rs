//! `backfills`: look at backfills and act on them.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde_json::{Map, Value, json};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use weirgate_queue::backfill::{self, Backfill};

use super::backfill::{look, watch};
use crate::audit::Actor;
use crate::cli::Backfills;
use crate::config::Config;
use crate::database::Database;

pub(super) async fn run(command: Backfills, config: &Config) -> anyhow::Result<()> {
    let database = Database::attach(config, "backfills").await?;
    let pool = &database.pool;
    let mut conn = pool.acquire().await?;
    let changed: Option<Uuid> = match command {
        Backfills::List { limit } => {
            print_list(backfill::list(&mut conn, None, limit).await?);
            None
        }
        Backfills::Show { id, watch: false } => {
            println!("{}", serde_json::to_string_pretty(&describe(&look(pool, id).await?))?);
            None
        }
        Backfills::Show { id, watch: true } => {
            watch(pool, id).await?;
            None
        }
        Backfills::Pause { id } => Some(act(pool, id, "backfill.pause", backfill::pause).await?),
        Backfills::Resume { id } => Some(act(pool, id, "backfill.resume", backfill::resume).await?),
        Backfills::Cancel { id } => {
            act(pool, id, "backfill.cancel", backfill::begin_cancel).await?;
            backfill::cancel(pool, id).await?;
            Some(id)
        }
        Backfills::RetryFailed { id } => {
            let retry = async |conn: &mut PgConnection, id| {
                if !backfill::retry_failed(conn, id).await? {
                    println!("none of its jobs is discarded");
                }
                Ok(())
            };
            Some(act(pool, id, "backfill.retry_failed", retry).await?)
        }
    };
    if let Some(id) = changed {
        println!("{id} is {}", look(pool, id).await?.state);
    }
    drop(conn);
    database.close().await
}

/// Does `verb` to a backfill.
async fn act(
    pool: &PgPool,
    id: Uuid,
    action: &str,
    verb: impl AsyncFnOnce(&mut PgConnection, Uuid) -> weirgate_queue::Result<()>,
) -> anyhow::Result<Uuid> {
    let mut tx = pool.begin().await?;
    verb(&mut tx, id).await?;
    Actor::cli().note(&mut tx, action, &id.to_string(), &json!({})).await?;
    tx.commit().await?;
    Ok(id)
}

fn print_list(backfills: Vec<Backfill>) {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["ID", "KIND", "STATE", "DONE", "OF", "FROM", "TO", "CREATED"]);
    for it in backfills {
        let day = |name: &str| it.spec[name].as_str().unwrap_or_default().to_owned();
        let created = it.created_at.format("%Y-%m-%d %H:%M:%S").to_string();
        let (done, total) = (it.done.to_string(), it.total.to_string());
        let (from, to) = (day("from"), day("to"));
        table.add_row([it.id.to_string(), it.kind, it.state.to_string(), done, total, from, to, created]);
    }
    println!("{table}");
}

/// A backfill as an operator on the database's host sees it.
fn describe(backfill: &Backfill) -> Value {
    let counts: Map<String, Value> =
        backfill.counts.iter().map(|(state, count)| (state.to_string(), count.into())).collect();
    json!({
        "id": backfill.id, "kind": backfill.kind, "state": backfill.state, "spec": backfill.spec,
        "share": backfill.settings.share, "max_running": backfill.settings.max_running,
        "priority": backfill.priority, "total": backfill.total, "expanded": backfill.expanded,
        "skipped": backfill.skipped, "done": backfill.done, "fraction": backfill.fraction(), "jobs": backfill.jobs,
        "counts": counts, "rate_per_s": backfill.rate, "estimated_finish": backfill.estimated_finish,
        "created_at": backfill.created_at, "cancelled_at": backfill.cancelled_at, "finished_at": backfill.finished_at,
    })
}
