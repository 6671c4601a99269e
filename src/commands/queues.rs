//! `queues`: look at queues, pause and resume them.

use anyhow::bail;
use comfy_table::Table;
use sqlx::PgPool;
use weirgate_queue::JobState;
use weirgate_queue::lanes::{Books, limits, traffic};

use super::session::Session;
use super::table;
use crate::audit::{Actor, Change, Subject};
use crate::cli::Queues;
use crate::database::Database;
use crate::output::say;
use crate::queues;

pub(super) async fn run(command: Queues, session: &Session) -> anyhow::Result<()> {
    let act = async |database: &Database| match command {
        Queues::List => say!("{}", list(&database.pool).await?),
        Queues::Pause { queue } => pause(&database.pool, &queue, true).await,
        Queues::Resume { queue } => pause(&database.pool, &queue, false).await,
    };
    session.with_database("queues", act).await
}

async fn list(pool: &PgPool) -> anyhow::Result<Table> {
    let mut conn = pool.acquire().await?;
    let names = queues::known(&mut conn, None).await?;
    let workers = traffic::workers(&mut conn).await?;
    let books = Books::new(pool.clone());
    let mut table = table(&[
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
    let change = Change::begin(&mut tx, Subject::Queue(queue)).await?;
    limits::pause_queue(&mut tx, queue, paused).await?;
    let action = if paused { "queue.pause" } else { "queue.resume" };
    change.note(&mut tx, &Actor::cli(), action, &["paused"]).await?;
    tx.commit().await?;
    say!("{queue} {}", if paused { "is paused; what runs goes on running" } else { "goes on" })
}
