//! `backfills`: look at backfills and act on them.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde_json::{Map, Value, json};
use uuid::Uuid;
use weirgate_queue::backfill::{self, Backfill};

use super::backfill::{look, watch};
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
        Backfills::Pause { id } => {
            let mut tx = pool.begin().await?;
            backfill::pause(&mut tx, id).await?;
            tx.commit().await?;
            Some(id)
        }
        Backfills::Resume { id } => {
            let mut tx = pool.begin().await?;
            backfill::resume(&mut tx, id).await?;
            tx.commit().await?;
            Some(id)
        }
        Backfills::Cancel { id } => {
            backfill::cancel(pool, id).await?;
            Some(id)
        }
        Backfills::RetryFailed { id } => {
            let mut tx = pool.begin().await?;
            let any = backfill::retry_failed(&mut tx, id).await?;
            tx.commit().await?;
            if !any {
                println!("none of its jobs is discarded");
            }
            Some(id)
        }
    };
    if let Some(id) = changed {
        println!("{id} is {}", look(pool, id).await?.state);
    }
    drop(conn);
    database.close().await
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
