//! A sticky connection stays with its user from one use to the next while there is work for it:
//! taking one from a pool and giving it back cost round trips of their own.

use std::pin::pin;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use tokio::sync::Mutex;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

/// How long a connection is kept while nothing has to be done with it.
const KEEP: Duration = Duration::from_millis(20);

/// A connection of a pool that its user keeps while it is busy.
#[derive(Debug)]
pub struct StickyConnection {
    pool: PgPool,
    conn: Option<PoolConnection<Postgres>>,
}

impl StickyConnection {
    /// Will take a connection from `pool` when it is first used.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, conn: None }
    }

    /// The pool that the connection comes from.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The connection, taken from the pool where none is kept. Where others wait for a connection
    /// of the pool, the kept one is given back first, so that they come first.
    ///
    /// # Errors
    /// When the pool has no connection in time.
    pub async fn conn(&mut self) -> sqlx::Result<&mut PgConnection> {
        let used_up =
            self.pool.num_idle() == 0 && self.pool.size() >= self.pool.options().get_max_connections();
        if used_up {
            self.release();
        }
        if self.conn.is_none() {
            self.conn = Some(self.pool.acquire().await?);
        }
        Ok(self.conn.as_mut().expect("set above"))
    }

    /// Gives the connection back, as there is nothing to do. The pool checks whether it is fit for
    /// others.
    pub fn release(&mut self) {
        self.conn = None;
    }

    /// Closes the connection after a failure: it may never answer again, and nobody else should
    /// get it and wait.
    pub fn close(&mut self) {
        if let Some(conn) = self.conn.take() {
            drop(conn.detach());
        }
    }
}

/// A pool of a single connection that is not one of `pool`'s and is made in the same way.
pub fn dedicated(pool: &PgPool) -> PgPool {
    let one = pool.options().clone().min_connections(0).max_connections(1);
    one.connect_lazy_with((*pool.connect_options()).clone())
}

/// Waits for the next item of a queue that several tasks read, and takes what is there, up to
/// `max` items; returns none when the queue is closed. While nothing comes, the connection is kept
/// for a moment and then released.
pub async fn next_batch<T>(
    queue: &Mutex<UnboundedReceiver<T>>,
    max: usize,
    sticky: &mut StickyConnection,
) -> Vec<T> {
    let mut batch = pin!(async {
        let mut items = Vec::with_capacity(max);
        queue.lock().await.recv_many(&mut items, max).await;
        items
    });
    if sticky.conn.is_some()
        && let Ok(items) = timeout(KEEP, &mut batch).await
    {
        return items;
    }
    sticky.release();
    batch.await
}
