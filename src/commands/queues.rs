//! `queues`: look at queues, pause and resume them.

use anyhow::bail;
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde_json::json;
use sqlx::PgPool;
use weirgate_queue::JobState;
use weirgate_queue::lanes::{Books, limits, traffic};

use crate::audit::Actor;
use crate::cli::Queues;
use crate::config::Config;
use crate::database::Database;
use crate::queues;

pub(super) async fn run(command: Queues, config: &Config) -> anyhow::Result<()> {
    let database = Database::attach(config, "queues").await?;
    match command {
        Queues::List => println!("{}", list(&database.pool).await?),
        Queues::Pause { queue } => pause(&database.pool, &queue, true).await?,
        Queues::Resume { queue } => pause(&database.pool, &queue, false).await?,
    }
    database.close().await
}

async fn list(pool: &PgPool) -> anyhow::Result<Table> {
    let mut conn = pool.acquire().await?;
    let names = queues::known(&mut conn, None).await?;
    let workers = traffic::workers(&mut conn).await?;
    let books = Books::new(pool.clone());
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header([
        "QUEUE",
        "STATE",
        "WAITING",
        "RUNNING",
        "DISCARDED",
        "THROTTLED",
        "WORKERS",
        "SLOTS",
        "STARTS/S",
        "ENDS/S",
    ]);
    for name in names {
        let traffic = traffic::traffic(&mut conn, &name).await?;
        let (facts, paused) = books.read(&name, |book| (book.facts(), book.settings().paused)).await?;
        let count = |state: JobState| facts.counts.get(&state).copied().unwrap_or(0);
        let waiting = JobState::ALL.into_iter().filter(|it| !it.is_final() && *it != JobState::Running);
        let workers = workers.get(&name).copied().unwrap_or_default();
        table.add_row([
            name,
            if paused { "paused" } else { "on" }.to_owned(),
            waiting.map(count).sum::<i64>().to_string(),
            count(JobState::Running).to_string(),
            count(JobState::Discarded).to_string(),
            format!("{} of {} lanes", facts.throttled_lanes, facts.lanes_with_backlog),
            workers.count.to_string(),
            workers.slots.to_string(),
            format!("{:.1}", traffic.started),
            format!("{:.1}", traffic.finished),
        ]);
    }
    Ok(table)
}

async fn pause(pool: &PgPool, queue: &str, paused: bool) -> anyhow::Result<()> {
    let mut tx = pool.begin().await?;
    let known = queues::known(&mut tx, None).await?;
    if !known.contains(queue) {
        bail!("{queue:?}: {}", queues::unknown(&known));
    }
    limits::pause_queue(&mut tx, queue, paused).await?;
    let action = if paused { "queue.pause" } else { "queue.resume" };
    Actor::cli().note(&mut tx, action, queue, &json!({})).await?;
    tx.commit().await?;
    println!("{queue} {}", if paused { "is paused; what runs goes on running" } else { "goes on" });
    Ok(())
}
