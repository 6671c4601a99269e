//! Wake-ups: `NOTIFY` once a transaction and queue, for new jobs only where somebody sleeps; `LISTEN` once a process. Polling backs
//! both up.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::postgres::{PgListener, PgNotification};
use sqlx::{Executor, PgConnection, PgPool};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::database::held::beside;
use crate::database::patience::within;
use crate::error::Result;
use crate::telemetry::meter::Meter;
use crate::worker::running::{Running, StopReason};

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

/// How often a connection on which nothing is heard is asked whether it still answers.
const HEARTBEAT: Duration = Duration::from_secs(3);

/// How long it may take to.
const ANSWER: Duration = Duration::from_secs(3);

/// How long it may take to begin.
const CONNECT: Duration = Duration::from_secs(10);

/// Listens until `stop`, through any loss of the connection; after each loss everyone looks for themselves.
pub(crate) async fn listen(
    pool: PgPool,
    wakers: Wakers,
    running: Running,
    meter: Meter,
    stop: CancellationToken,
) {
    let told = Told { wakers: &wakers, running: &running };
    let lost = async || match connect(&pool).await {
        Ok(listener) => {
            let Err(error) = told.hear(listener).await;
            meter.add_listen_lost();
            tracing::warn!(%error, "lost the LISTEN connection; workers poll until it is back");
        }
        Err(error) => tracing::warn!(%error, "cannot listen for wake-ups; workers poll until this works"),
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = lost() => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}

/// On a connection of its own each time: a listener says goodbye on the old one, which may never be heard.
async fn connect(pool: &PgPool) -> sqlx::Result<PgListener> {
    let pool = beside(pool);
    within(CONNECT, async {
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen_all([JOBS_CHANNEL, CANCEL_CHANNEL, LEADER_CHANNEL, DRAIN_CHANNEL]).await?;
        Ok(listener)
    })
    .await
}

/// The listener says that its connection broke without saying how.
fn broken() -> sqlx::Error {
    sqlx::Error::Io(io::ErrorKind::ConnectionAborted.into())
}

/// Those who are told.
struct Told<'a> {
    wakers: &'a Wakers,
    running: &'a Running,
}

impl Told<'_> {
    /// Ends with the connection: when it breaks, or no longer answers.
    async fn hear(&self, mut listener: PgListener) -> sqlx::Result<Infallible> {
        // What was notified while nobody listened is found by looking.
        self.wakers.wake_all();
        loop {
            match timeout(HEARTBEAT, listener.try_recv()).await {
                Ok(notice) => self.tell(&notice?.ok_or_else(broken)?),
                // A host that vanishes closes nothing: only an answer shows that notices would arrive.
                Err(_silence) => {
                    within(ANSWER, (&mut listener).execute("select")).await?;
                }
            }
        }
    }

    fn tell(&self, notice: &PgNotification) {
        match (notice.channel(), notice.payload()) {
            (JOBS_CHANNEL, queue) => self.wakers.of(queue).notify_one(),
            (LEADER_CHANNEL, _) => self.wakers.of_election().notify_one(),
            (DRAIN_CHANNEL, _) => self.wakers.of_drain().notify_one(),
            (CANCEL_CHANNEL, job) => {
                if let Ok(job) = job.parse() {
                    self.running.stop(job, StopReason::Cancelled);
                }
            }
            _ => {}
        }
    }
}
