//! Wake-ups: `NOTIFY` once a transaction and queue, for new jobs only where somebody sleeps; `LISTEN` once a process. Polling backs
//! both up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::postgres::PgListener;
use sqlx::{PgConnection, PgPool};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::error::Result;
use crate::running::{Running, StopReason};

/// Carries names of queues; also in the trigger that sees new jobs.
const JOBS_CHANNEL: &str = "weirgate_jobs";
const CANCEL_CHANNEL: &str = "weirgate_cancel";
const LEADER_CHANNEL: &str = "weirgate_leader";
const DRAIN_CHANNEL: &str = "weirgate_drain";

/// Nobody sends it: a wake-up inside of the process.
const LEASE: &str = "weirgate_lease";

/// Wakes the workers of `queues` when the transaction commits. Postgres folds equal notices of one transaction.
pub(crate) async fn notify_queues(
    conn: &mut PgConnection,
    queues: impl IntoIterator<Item = String>,
) -> Result<()> {
    let mut queues: Vec<String> = queues.into_iter().collect();
    if queues.is_empty() {
        return Ok(());
    }
    queues.sort_unstable();
    queues.dedup();
    sqlx::query!(
        r#"select pg_notify($1, queue) as "notified: ()" from unnest($2::text[]) as queue"#,
        JOBS_CHANNEL,
        &queues
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// Tells the worker that runs `job` to stop it.
pub(crate) async fn notify_cancel(conn: &mut PgConnection, job: Uuid) -> Result<()> {
    sqlx::query!(r#"select pg_notify($1, $2) as "notified: ()""#, CANCEL_CHANNEL, job.to_string())
        .fetch_all(conn)
        .await?;
    Ok(())
}

/// The same for many jobs.
pub(crate) async fn notify_cancels(conn: &mut PgConnection, jobs: &[Uuid]) -> Result<()> {
    sqlx::query!(
        r#"select pg_notify($1, job::text) as "notified: ()" from unnest($2::uuid[]) as job"#,
        CANCEL_CHANNEL,
        jobs
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// Tells the other hosts that the leader stepped down.
pub(crate) async fn notify_leader(conn: &mut PgConnection) -> Result<()> {
    sqlx::query!(r#"select pg_notify($1, '') as "notified: ()""#, LEADER_CHANNEL).fetch_all(conn).await?;
    Ok(())
}

/// Tells the workers that one of them is to drain.
pub(crate) async fn notify_drain(conn: &mut PgConnection) -> Result<()> {
    sqlx::query!(r#"select pg_notify($1, '') as "notified: ()""#, DRAIN_CHANNEL).fetch_all(conn).await?;
    Ok(())
}

/// One wake-up a queue, one for the drain of a worker, and one for the election of a leader.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wakers(Arc<Mutex<HashMap<String, Arc<Notify>>>>);

impl Wakers {
    pub(crate) fn of(&self, queue: &str) -> Arc<Notify> {
        self.0.lock().expect("no panic while held").entry(queue.to_owned()).or_default().clone()
    }

    /// The leader stepped down.
    pub(crate) fn of_election(&self) -> Arc<Notify> {
        self.of(LEADER_CHANNEL)
    }

    /// This worker's lease may be of another history of the database.
    pub(crate) fn of_lease(&self) -> Arc<Notify> {
        self.of(LEASE)
    }

    /// A worker is to drain: perhaps this one.
    pub(crate) fn of_drain(&self) -> Arc<Notify> {
        self.of(DRAIN_CHANNEL)
    }

    fn wake_all(&self) {
        for notify in self.0.lock().expect("no panic while held").values() {
            notify.notify_one();
        }
    }
}

/// Listens until `stop`, through any loss of the connection; after each loss everyone looks for themselves.
pub(crate) async fn listen(pool: PgPool, wakers: Wakers, running: Running, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            lost = listen_once(&pool, &wakers, &running) => {
                if let Err(error) = lost {
                    tracing::warn!(%error, "lost the LISTEN connection; workers poll until it is back");
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}

async fn listen_once(pool: &PgPool, wakers: &Wakers, running: &Running) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen_all([JOBS_CHANNEL, CANCEL_CHANNEL, LEADER_CHANNEL, DRAIN_CHANNEL]).await?;
    // What was notified while nobody listened is found by looking.
    wakers.wake_all();
    while let Some(notice) = listener.try_recv().await? {
        match (notice.channel(), notice.payload()) {
            (JOBS_CHANNEL, queue) => wakers.of(queue).notify_one(),
            (LEADER_CHANNEL, _) => wakers.of_election().notify_one(),
            (DRAIN_CHANNEL, _) => wakers.of_drain().notify_one(),
            (CANCEL_CHANNEL, job) => {
                if let Ok(job) = job.parse() {
                    running.stop(job, StopReason::Cancelled);
                }
            }
            _ => {}
        }
    }
    Ok(())
}
