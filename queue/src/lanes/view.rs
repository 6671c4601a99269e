//! Books for readers: who asks why a job waits is answered from what claims are decided on.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use tokio::time::Instant;
use uuid::Uuid;

use crate::database::history;
use crate::database::patience::within;
use crate::error::Result;
use crate::job::state::JobState;
use crate::lanes::book::Book;
use crate::lanes::facts::{Counts, Standing};
use crate::read::JobRow;

/// How long readers wait for a database's history to be told; it goes on without them.
const RECOVERY: Duration = Duration::from_secs(2);

/// A book that nobody looked into for longer is behind by so much of the log that a new one costs less.
const KEEP: Duration = Duration::from_mins(1);

/// The books of one process's readers, a queue each. Cheap to clone.
///
/// A reader sees all that was committed when it asked. Readers that ask while another one looks share the next look, so
/// that a queue costs one small query at a time, however many ask.
#[derive(Debug, Clone)]
pub struct Books {
    pool: PgPool,
    entries: Arc<Mutex<HashMap<String, Arc<Entry>>>>,
}

#[derive(Debug, Default)]
struct Entry {
    /// Readers that have asked so far.
    asked: AtomicU64,
    opened: tokio::sync::Mutex<Opened>,
}

#[derive(Debug, Default)]
struct Opened {
    book: Option<(Book, Instant)>,
    /// How many readers had asked when the last look began: it serves all of these.
    served: u64,
}

impl Books {
    /// None yet; a queue's is opened when somebody asks for it.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, entries: Arc::default() }
    }

    /// What `read` finds in the book of `queue`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn read<T>(&self, queue: &str, read: impl FnOnce(&Book) -> T) -> Result<T> {
        let entry = self.entry(queue);
        let question = entry.asked.fetch_add(1, Ordering::SeqCst) + 1;
        // Before the lock: who waits for the pool does not make others wait.
        let mut conn = self.pool.acquire().await?;
        let mut opened = entry.opened.lock().await;
        Ok(read(opened.look(&self.pool, &mut conn, queue, &entry.asked, question).await?))
    }

    /// Where those of `jobs` stand that may start; one look a queue.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn standings(
        &self,
        conn: &mut PgConnection,
        jobs: &[JobRow],
    ) -> Result<HashMap<Uuid, Standing>> {
        let mut by_queue: BTreeMap<&str, Vec<&JobRow>> = BTreeMap::new();
        for job in jobs.iter().filter(|job| job.state() == JobState::Available) {
            by_queue.entry(&job.queue).or_default().push(job);
        }
        let mut standings = HashMap::new();
        for (queue, jobs) in by_queue {
            let entry = self.entry(queue);
            let question = entry.asked.fetch_add(1, Ordering::SeqCst) + 1;
            let mut opened = entry.opened.lock().await;
            let book = opened.look(&self.pool, conn, queue, &entry.asked, question).await?;
            // Only where nothing else keeps it from starting is it asked how many start before it.
            let (next, held): (Vec<&JobRow>, Vec<&JobRow>) =
                jobs.into_iter().partition(|job| job.has_worker == Some(true) && !book.is_blocked(job));
            let ahead = if next.is_empty() { Vec::new() } else { book.ahead(conn, &next).await? };
            standings.extend(next.iter().zip(ahead).map(|(job, ahead)| (job.id, book.standing(job, ahead))));
            standings.extend(held.iter().map(|job| (job.id, book.standing(job, 0))));
        }
        Ok(standings)
    }

    /// The jobs of `queue` by state, on the caller's connection: all, those of a tenant, and those of a backfill.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn counts(
        &self,
        conn: &mut PgConnection,
        queue: &str,
        tenant: Option<Uuid>,
        backfill: Option<Uuid>,
    ) -> Result<Counts> {
        let entry = self.entry(queue);
        let question = entry.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut opened = entry.opened.lock().await;
        let book = opened.look(&self.pool, conn, queue, &entry.asked, question).await?;
        Ok(book.jobs(tenant, backfill))
    }

    /// Since when the longest-waiting job of `queue` could have started, of those that are next in their lanes; of at
    /// most 1,000 lanes.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn oldest(&self, queue: &str) -> Result<Option<DateTime<Utc>>> {
        self.oldest_in(queue, None).await
    }

    /// The same of the lane of `tenant`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn oldest_of(&self, queue: &str, tenant: Uuid) -> Result<Option<DateTime<Utc>>> {
        self.oldest_in(queue, Some(tenant)).await
    }

    async fn oldest_in(&self, queue: &str, tenant: Option<Uuid>) -> Result<Option<DateTime<Utc>>> {
        let entry = self.entry(queue);
        let question = entry.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut conn = self.pool.acquire().await?;
        let mut opened = entry.opened.lock().await;
        opened
            .look(&self.pool, &mut conn, queue, &entry.asked, question)
            .await?
            .oldest(&mut conn, tenant)
            .await
    }

    fn entry(&self, queue: &str) -> Arc<Entry> {
        let mut entries = self.entries.lock().expect("no panic while held");
        entries.entry(queue.to_owned()).or_default().clone()
    }
}

impl Opened {
    async fn look(
        &mut self,
        pool: &PgPool,
        conn: &mut PgConnection,
        queue: &str,
        asked: &AtomicU64,
        question: u64,
    ) -> Result<&mut Book> {
        if self.served < question || self.book.is_none() {
            let serves = asked.load(Ordering::SeqCst);
            let now = Instant::now();
            if let Err(error) = self.refresh(conn, queue, now).await {
                // What was seen on a connection that broke may be gone.
                self.book = None;
                if !within(RECOVERY, history::recover(pool, &error)).await? {
                    return Err(error);
                }
                self.refresh(conn, queue, now).await?;
            }
            self.served = serves;
        }
        Ok(&mut self.book.as_mut().expect("it was opened above").0)
    }

    async fn refresh(&mut self, conn: &mut PgConnection, queue: &str, now: Instant) -> Result<()> {
        match &mut self.book {
            Some((book, at)) if now - *at <= KEEP => {
                book.refresh(conn).await?;
                *at = now;
            }
            stale => *stale = Some((Book::open(conn, queue).await?, now)),
        }
        Ok(())
    }
}
