//! The listener receives the database's notifications for all tasks of a process, on one
//! connection. Polling backs it up: what is notified while nobody listens is found by the next
//! poll.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgNotification};
use sqlx::{Executor, PgPool};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::database::deadline::within;
use crate::database::sticky::dedicated;
use crate::enqueue::notify::JOBS_CHANNEL;
use crate::telemetry::meter::Meter;
use crate::worker::notify::{CANCEL_CHANNEL, DRAIN_CHANNEL, LEADER_CHANNEL};
use crate::worker::running::{Running, StopReason};
use crate::worker::wakers::Wakers;

/// How long the connection may be silent before it is asked whether it still answers.
const SILENCE: Duration = Duration::from_secs(3);

/// How long that answer may take.
const ANSWER_DEADLINE: Duration = Duration::from_secs(3);

/// How long connecting and subscribing may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// The pause before a lost connection is made anew.
const RECONNECT_INTERVAL: Duration = Duration::from_secs(1);

/// Receives notifications and passes them on to the tasks of the process.
pub(super) struct Listener {
    pub(super) pool: PgPool,
    pub(super) wakers: Wakers,
    pub(super) running: Running,
    pub(super) meter: Meter,
}

impl Listener {
    /// Listens until `stop`. When the connection is lost it is made anew, and then everyone polls
    /// once.
    pub(super) async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.listen() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RECONNECT_INTERVAL) => {}
            }
        }
    }

    /// Listens until the connection is lost.
    async fn listen(&self) {
        match connect(&self.pool).await {
            Ok(connection) => {
                let Err(error) = self.receive(connection).await;
                self.meter.add_listen_lost();
                tracing::warn!(%error, "lost the LISTEN connection; workers poll until it is back");
            }
            Err(error) => {
                tracing::warn!(%error, "cannot listen for notifications; workers poll until this works");
            }
        }
    }

    /// Receives until the connection breaks or no longer answers.
    async fn receive(&self, mut connection: PgListener) -> sqlx::Result<Infallible> {
        // Whatever was notified while nobody listened is found by a poll.
        self.wakers.wake_all();
        loop {
            match timeout(SILENCE, connection.try_recv()).await {
                Ok(notification) => self.dispatch(&notification?.ok_or_else(connection_lost)?),
                // A server that vanishes closes nothing: only an answer shows that notifications
                // would arrive.
                Err(_silence) => {
                    within(ANSWER_DEADLINE, (&mut connection).execute("select")).await?;
                }
            }
        }
    }

    fn dispatch(&self, notification: &PgNotification) {
        match (notification.channel(), notification.payload()) {
            (JOBS_CHANNEL, queue) => self.wakers.for_queue(queue).notify_one(),
            (LEADER_CHANNEL, _) => self.wakers.for_election().notify_one(),
            (DRAIN_CHANNEL, _) => self.wakers.for_drain().notify_one(),
            (CANCEL_CHANNEL, job) => {
                if let Ok(job) = job.parse() {
                    self.running.stop(job, StopReason::Cancelled);
                }
            }
            _ => {}
        }
    }
}

/// Connects on a new connection each time: a `PgListener` that reconnects first says goodbye on the
/// old connection, which may never be answered.
async fn connect(pool: &PgPool) -> sqlx::Result<PgListener> {
    let pool = dedicated(pool);
    within(CONNECT_DEADLINE, async {
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen_all([JOBS_CHANNEL, CANCEL_CHANNEL, LEADER_CHANNEL, DRAIN_CHANNEL]).await?;
        Ok(listener)
    })
    .await
}

/// `PgListener` reports that its connection broke without saying how.
fn connection_lost() -> sqlx::Error {
    sqlx::Error::Io(io::ErrorKind::ConnectionAborted.into())
}
