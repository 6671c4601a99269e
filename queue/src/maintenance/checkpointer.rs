//! Saves checkpoints of the queue views, so that a worker that opens a view need not read the
//! lanes' whole log, and prunes the log behind them.

use std::collections::HashMap;

use sqlx::{PgConnection, PgPool};
use tokio::sync::Mutex;

use crate::error::Result;
use crate::lanes::view::checkpoint;
use crate::lanes::{QueueView, log};

/// A view is saved once it has read this many rows of the log since its last checkpoint.
const MIN_ROWS_READ: u64 = 1_000;

/// Keeps a view of each queue that live workers claim from. It refreshes them often: reading what a
/// busy queue logs in a minute takes a second, which would slow everybody down.
#[derive(Debug, Default)]
pub struct Checkpointer {
    views: Mutex<HashMap<String, QueueView>>,
}

impl Checkpointer {
    /// Refreshes each view, and saves those whose checkpoint is over a minute old; returns how many
    /// rows of the log were pruned.
    ///
    /// # Errors
    /// When the database cannot be reached or refuses.
    pub async fn run_once(&self, pool: &PgPool) -> Result<u64> {
        let mut views = self.views.lock().await;
        let mut conn = pool.acquire().await?;
        let queues = sqlx::query!(
            r#"select distinct name as "name!", not exists (
                   select from queue.view_checkpoints b where b.queue = name and b.at > queue.now() - interval '1 minute') as "is_due!"
               from queue.workers w, unnest(w.queues) as name where w.lease_until > queue.now()"#
        )
        .fetch_all(&mut *conn)
        .await?;
        views.retain(|name, _| queues.iter().any(|queue| queue.name == *name));
        let mut pruned = 0;
        for queue in queues {
            // A view that fails is dropped, and opened anew the next time.
            let mut view = match views.remove(&queue.name) {
                Some(view) => view,
                None => QueueView::open(&mut conn, &queue.name).await?,
            };
            view.refresh(&mut conn).await?;
            if queue.is_due {
                pruned += save_and_prune(&mut conn, &mut view).await?;
            }
            views.insert(queue.name, view);
        }
        Ok(pruned)
    }

    /// Drops all views: another worker keeps them now.
    pub async fn clear(&self) {
        self.views.lock().await.clear();
    }
}

async fn save_and_prune(conn: &mut PgConnection, view: &mut QueueView) -> Result<u64> {
    if view.rows_since_checkpoint() >= MIN_ROWS_READ {
        // The checkpoint holds each lane's cursor: a worker that opens it reads each lane from
        // where it is now.
        view.oldest(conn, None).await?;
        checkpoint::save(conn, view).await?;
    }
    log::prune(conn, view.queue()).await
}
