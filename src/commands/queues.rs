//! `queues`: look at queues, pause and resume them.

use std::collections::BTreeMap;

use anyhow::bail;
use serde::Deserialize;
use sqlx::PgPool;
use weirgate_identity::audit::Actor;
use weirgate_queue::JobState;
use weirgate_queue::lanes::{QueueViews, traffic};
use weirgate_web::domain::Catalog;

use super::door::Door;
use super::remote;
use super::session::Session;
use super::table::{say_table, table};
use crate::cli::Queues;
use crate::output::say;
use crate::pauses::{Pausable, set_paused};
use crate::queues;

pub(super) async fn run(command: Queues, session: &Session) -> anyhow::Result<()> {
    let act = async |door: Door<'_>| match command {
        Queues::List => match door {
            Door::Database(database) => print_list(stored(&database.pool, database.catalog).await?),
            Door::Server(client) => print_list(remote::queues::list(client).await?),
        },
        Queues::Pause { queue } => pause(door, &queue, true).await,
        Queues::Resume { queue } => pause(door, &queue, false).await,
    };
    session.with_door("queues", act).await
}

/// A queue as commands show it.
#[derive(Deserialize)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) paused: bool,
    /// Jobs that are not final, by state.
    depth: BTreeMap<String, i64>,
    /// Final jobs, by state.
    finished: BTreeMap<String, i64>,
    lanes_with_backlog: usize,
    throttled_lanes: usize,
    workers: i64,
    slots: i64,
    throughput: Throughput,
}

/// Jobs a second, lately.
#[derive(Deserialize)]
struct Throughput {
    started_per_s: f64,
    finished_per_s: f64,
}

/// The queues of the database.
async fn stored(pool: &PgPool, catalog: &Catalog) -> anyhow::Result<Vec<Queue>> {
    let mut conn = pool.acquire().await?;
    let names = queues::known(&mut conn, catalog, None).await?;
    let workers = traffic::workers(&mut conn).await?;
    let views = QueueViews::new(pool.clone());
    let mut all = Vec::with_capacity(names.len());
    for name in names {
        let traffic = traffic::traffic(&mut conn, &name).await?;
        let (facts, paused) = views.read(&name, |view| (view.activity(), view.settings().paused)).await?;
        let states = |is_final: bool| {
            let states = JobState::ALL.into_iter().filter(move |state| state.is_final() == is_final);
            let count = |state: JobState| facts.counts.get(&state).copied().unwrap_or(0);
            states.map(|state| (state.to_string(), count(state))).collect()
        };
        let workers = workers.get(&name).copied().unwrap_or_default();
        all.push(Queue {
            name,
            paused,
            depth: states(false),
            finished: states(true),
            lanes_with_backlog: facts.lanes_with_backlog,
            throttled_lanes: facts.throttled_lanes,
            workers: workers.count,
            slots: workers.capacity,
            throughput: Throughput { started_per_s: traffic.started, finished_per_s: traffic.finished },
        });
    }
    Ok(all)
}

fn print_list(queues: Vec<Queue>) -> anyhow::Result<()> {
    let mut table = table(&[
        "QUEUE",
        "STATE",
        "AVAILABLE",
        "RUNNING",
        "SCHEDULED",
        "WAITING",
        "RETRYABLE",
        "DISCARDED",
        "THROTTLED",
        "WORKERS",
        "SLOTS",
        "STARTED/S",
        "FINISHED/S",
    ]);
    for queue in queues {
        let count = |state: JobState| {
            let counts = if state.is_final() { &queue.finished } else { &queue.depth };
            counts.get(state.as_str()).copied().unwrap_or(0).to_string()
        };
        let counts = [
            JobState::Available,
            JobState::Running,
            JobState::Scheduled,
            JobState::Waiting,
            JobState::Retryable,
            JobState::Discarded,
        ]
        .map(count);
        let state = if queue.paused { "paused" } else { "active" };
        let rest = [
            format!("{} of {} lanes", queue.throttled_lanes, queue.lanes_with_backlog),
            queue.workers.to_string(),
            queue.slots.to_string(),
            format!("{:.1}", queue.throughput.started_per_s),
            format!("{:.1}", queue.throughput.finished_per_s),
        ];
        table.add_row([queue.name, state.to_owned()].into_iter().chain(counts).chain(rest));
    }
    say_table(&table, "there are no queues yet")
}

async fn pause(door: Door<'_>, queue: &str, paused: bool) -> anyhow::Result<()> {
    match door {
        Door::Database(database) => {
            pause_in_database(&database.pool, database.catalog, queue, paused).await?;
        }
        Door::Server(client) => remote::queues::pause(client, queue, paused).await?,
    }
    say!("{queue} {}", if paused { "is paused; running jobs continue" } else { "is resumed" })
}

async fn pause_in_database(
    pool: &PgPool,
    catalog: &Catalog,
    queue: &str,
    paused: bool,
) -> anyhow::Result<()> {
    let mut tx = pool.begin().await?;
    let known = queues::known(&mut tx, catalog, None).await?;
    if !known.contains(queue) {
        bail!("{queue:?}: {}", queues::unknown(&known));
    }
    set_paused(&mut tx, &Actor::cli(), Pausable::Queue(queue), paused).await?;
    tx.commit().await?;
    Ok(())
}
