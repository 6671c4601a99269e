//! Notices connections that are neither closed nor answer: a proxy or a firewall that forgot them,
//! a host that vanished.
//!
//! One connection, the probe, is asked all the time. If the probe is silent and a newer connection
//! answers, the database is not slow: every connection that was open when the probe was asked is
//! closed, and whoever waits on one of them goes on with a new one. If nothing answers, they are
//! closed too, only later, so that whoever waits gets an error and a process that is to stop can
//! end. If the probe answers, but other connections do not when the pool checks them, they are
//! closed as well, with those that are waited on, which most likely hang too.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;
use weirgate_queue::{dedicated, within};

use super::sockets::{Place, Socket};

/// Between two questions.
const EVERY: Duration = Duration::from_secs(1);

/// Between two attempts to connect. A newer connection says nothing of older ones, so there should
/// soon be one.
const SOON: Duration = Duration::from_millis(250);

/// Without an answer for so long, a newer connection is asked.
const SILENT: Duration = Duration::from_secs(3);

/// Without an answer from any for so long, nobody waits any more.
const DEAD: Duration = Duration::from_secs(10);

/// So many connections of a pool that are silent within [`DEAD`] while the one that is asked
/// answers are no coincidence.
const SEVERAL: usize = 2;

static HUNG: AtomicU64 = AtomicU64::new(0);

/// How many connections this process has closed as they no longer answered.
pub fn hung_connections() -> u64 {
    HUNG.load(Ordering::Relaxed)
}

/// What questions came to.
#[derive(Debug, Default)]
pub(super) struct Signs {
    /// When the last one was asked that was answered.
    answered: Mutex<Option<Instant>>,
    /// When connections of the pool were found silent.
    silent: Mutex<Vec<Instant>>,
    several: Notify,
}

impl Signs {
    /// A connection of the pool that was asked then has not answered until now.
    pub(super) fn silent_since(&self, asked: Instant) {
        let later = self.answered.lock().is_some_and(|answered| answered > asked);
        if !later {
            return;
        }
        let mut silent = self.silent.lock();
        silent.retain(|at| at.elapsed() < DEAD);
        silent.push(Instant::now());
        if silent.len() >= SEVERAL {
            silent.clear();
            self.several.notify_one();
        }
    }
}

/// Watches what leads to the database of `pool`, until the set is dropped.
pub(super) fn start(pool: PgPool, signs: Arc<Signs>) -> JoinSet<()> {
    let mut watch = JoinSet::new();
    watch.spawn(async move {
        let mut place = Place::new(&pool.connect_options());
        let mut conn = None;
        loop {
            tokio::select! {
                () = tokio::time::sleep(if conn.is_some() { EVERY } else { SOON }) => {}
                () = signs.several.notified() => {
                    close(&place.sockets().await, "while another one is answered");
                    conn = None;
                }
            }
            conn = if let Some(conn) = conn.take() {
                ask(&pool, &mut place, conn, &signs).await
            } else {
                // It may have moved.
                place.follow(&pool.connect_options());
                connect(&pool).await.ok()
            };
        }
    });
    watch
}

/// Outside of any pool.
async fn connect(pool: &PgPool) -> sqlx::Result<PgConnection> {
    within(SILENT, async { Ok(dedicated(pool).acquire().await?.detach()) }).await
}

/// Returns whom to ask the next time, if there is anybody.
async fn ask(
    pool: &PgPool,
    place: &mut Place,
    mut conn: PgConnection,
    signs: &Signs,
) -> Option<PgConnection> {
    let there = place.sockets().await;
    there.iter().for_each(Socket::keep_alive);
    let asked = Instant::now();
    let mut answer = pin!(async move { conn.ping().await.ok().map(|()| conn) });
    if let Ok(answered) = timeout(SILENT, &mut answer).await {
        *signs.answered.lock() = answered.is_some().then_some(asked);
        return answered;
    }
    while asked.elapsed() < DEAD {
        let newer = async {
            let mut newer = connect(pool).await?;
            within(SILENT, newer.ping()).await.map(|()| newer)
        };
        let newer = tokio::select! {
            biased;
            // Only slow.
            answered = &mut answer => return answered,
            newer = newer => newer,
        };
        if let Ok(newer) = newer {
            close(&there, "while a new one is answered");
            return Some(newer);
        }
        tokio::time::sleep(SOON).await;
    }
    close(&there, "and neither does a new one");
    None
}

fn close(there: &[Socket], why: &str) {
    tracing::error!(
        connections = there.len(),
        "connections to the database do not answer, {why}; they are closed"
    );
    HUNG.fetch_add(there.len() as u64, Ordering::Relaxed);
    there.iter().for_each(Socket::close);
}
