//! A connection that is kept from one use to the next while there is work for it: to take one from a pool and to give it back
//! costs round trips of their own.

use std::pin::pin;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use tokio::sync::Mutex;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

/// Of a pool; none while it is not used.
#[derive(Debug)]
pub struct Held {
    pool: PgPool,
    conn: Option<PoolConnection<Postgres>>,
}

impl Held {
    /// None yet.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, conn: None }
    }

    /// Where it is from.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The connection; from the pool where none is held, or where others wait for one: then it is theirs first.
    ///
    /// # Errors
    /// When the pool has none in time.
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

    /// Gives it back, as there is nothing to do. The pool looks whether it is good for others.
    pub fn release(&mut self) {
        self.conn = None;
    }

    /// Closes it, as something failed on it: it may never answer again, and nobody is to wait for it.
    pub fn close(&mut self) {
        if let Some(conn) = self.conn.take() {
            drop(conn.detach());
        }
    }
}

/// One connection outside of `pool`, made as those in it are.
pub fn beside(pool: &PgPool) -> PgPool {
    let one = pool.options().clone().min_connections(0).max_connections(1);
    one.connect_lazy_with((*pool.connect_options()).clone())
}

/// How long a connection is kept for what comes next.
const KEPT: Duration = Duration::from_millis(20);

/// Waits for the next of what several wait for, and takes all that is there, up to `most`; none when nothing can come. `held` is
/// kept for a moment.
pub async fn gather<T>(from: &Mutex<UnboundedReceiver<T>>, most: usize, held: &mut Held) -> Vec<T> {
    let mut gathering = pin!(async {
        let mut gathered = Vec::with_capacity(most);
        from.lock().await.recv_many(&mut gathered, most).await;
        gathered
    });
    if held.conn.is_some()
        && let Ok(gathered) = timeout(KEPT, &mut gathering).await
    {
        return gathered;
    }
    held.release();
    gathering.await
}
