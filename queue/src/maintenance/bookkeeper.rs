//! Sums the lanes' log up now and then, so that hosts which begin to read it begin late in it, and prunes it.

use std::collections::HashMap;

use sqlx::{PgConnection, PgPool};
use tokio::sync::Mutex;

use crate::error::Result;
use crate::lanes::{Book, log};

/// Log rows that are worth a new book.
const WORTH: u64 = 1_000;

/// Keeps a book of each queue that live workers claim from. It looks often: what a busy queue logs in a minute takes a second to
/// read, and everybody would feel that.
#[derive(Debug, Default)]
pub struct Bookkeeper {
    books: Mutex<HashMap<String, Book>>,
}

impl Bookkeeper {
    /// Reads on in each book, and writes down those that are due; returns how many rows of the log were pruned.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn run_once(&self, pool: &PgPool) -> Result<u64> {
        let mut books = self.books.lock().await;
        let mut conn = pool.acquire().await?;
        let queues = sqlx::query!(
            r#"select distinct name as "name!", not exists (
                   select from queue.view_checkpoints b where b.queue = name and b.at > queue.now() - interval '1 minute') as "is_due!"
               from queue.workers w, unnest(w.queues) as name where w.lease_until > queue.now()"#
        )
        .fetch_all(&mut *conn)
        .await?;
        books.retain(|name, _| queues.iter().any(|queue| queue.name == *name));
        let mut pruned = 0;
        for queue in queues {
            // One that fails is opened anew the next time.
            let mut book = match books.remove(&queue.name) {
                Some(book) => book,
                None => Book::open(&mut conn, &queue.name).await?,
            };
            book.refresh(&mut conn).await?;
            if queue.is_due {
                pruned += write(&mut conn, &mut book).await?;
            }
            books.insert(queue.name, book);
        }
        Ok(pruned)
    }

    /// Another host keeps them.
    pub async fn forget(&self) {
        self.books.lock().await.clear();
    }
}

async fn write(conn: &mut PgConnection, book: &mut Book) -> Result<u64> {
    if book.read() >= WORTH {
        // Cursors go along with it: who begins from this book reads each lane from where it is now.
        book.oldest(conn, None).await?;
        log::save(conn, book).await?;
    }
    log::prune(conn, book.queue()).await
}
