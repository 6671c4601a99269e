//! Sums the lanes' log up now and then, so that hosts which begin to read it begin late in it, and prunes it.

use sqlx::{PgConnection, PgPool};

use crate::error::Result;
use crate::lanes::{Book, log};

/// Log rows that are worth a new book.
const WORTH: u64 = 1_000;

/// Writes a book of each queue that live workers claim from, where one is due; returns how many rows were pruned.
pub async fn run_once(pool: &PgPool) -> Result<u64> {
    let mut conn = pool.acquire().await?;
    let queues = sqlx::query_scalar!(
        r#"select distinct name as "name!" from queue.workers w, unnest(w.queues) as name
           where w.lease_until > queue.now() and not exists (
               select from queue.lane_books b where b.queue = name and b.at > queue.now() - interval '1 minute')"#
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut pruned = 0;
    for queue in queues {
        pruned += keep(&mut conn, &queue).await?;
    }
    Ok(pruned)
}

async fn keep(conn: &mut PgConnection, queue: &str) -> Result<u64> {
    let mut book = Book::open(conn, queue).await?;
    if book.read() >= WORTH {
        // Cursors go along with it: who begins from this book reads each lane from where it is now.
        book.oldest(conn, None).await?;
        log::save(conn, &book).await?;
    }
    log::prune(conn, queue).await
}
