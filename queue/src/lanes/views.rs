//! The queue views of one process's readers: whoever asks why a job waits is answered from the same
//! facts that claims are planned on.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use sqlx::{PgConnection, PgPool};
use tokio::time::Instant;
use uuid::Uuid;

use crate::database::deadline::within;
use crate::database::history;
use crate::error::Result;
use crate::lanes::activity::CountsByState;
use crate::lanes::position::{AvailableJob, QueuePosition};
use crate::lanes::view::QueueView;

/// How long a reader waits until a new history of the database is known. Finding it out goes on
/// without the reader.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(2);

/// A view that nobody read for longer is opened anew, which costs less than to read all that was
/// logged meanwhile.
const MAX_IDLE: Duration = Duration::from_mins(1);

/// The views of one process's readers, one a queue. Cheap to clone.
///
/// A reader sees all that was committed when it asked. Readers that ask while a refresh is under
/// way share the next one, so that a queue costs one small query at a time, however many ask.
#[derive(Debug, Clone)]
pub struct QueueViews {
    pool: PgPool,
    queues: Arc<Mutex<HashMap<String, Arc<SharedView>>>>,
}

/// The view of one queue, for all readers of the process.
#[derive(Debug, Default)]
struct SharedView {
    /// How many requests have come in so far. Each one's place in that count is its number.
    requests: AtomicU64,
    latest: tokio::sync::Mutex<LatestView>,
}

#[derive(Debug, Default)]
struct LatestView {
    /// The view, and when it was refreshed.
    view: Option<(QueueView, Instant)>,
    /// How many requests had come in when the last refresh began: it answers all of these.
    answers: u64,
}

impl QueueViews {
    /// No views yet; a queue's is opened when somebody asks for it.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, queues: Arc::default() }
    }

    /// What `read` finds in the view of `queue`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn read<T>(&self, queue: &str, read: impl FnOnce(&QueueView) -> T) -> Result<T> {
        let request = self.request(queue);
        // The connection comes before the lock: a reader that waits for the pool does not make
        // others wait.
        let mut conn = self.pool.acquire().await?;
        let mut latest = request.shared.latest.lock().await;
        Ok(read(latest.as_new_as(&request, &self.pool, &mut conn).await?))
    }

    /// The positions of `jobs` in their lanes, with one refresh a queue.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn positions<'a>(
        &self,
        conn: &mut PgConnection,
        jobs: impl IntoIterator<Item = AvailableJob<'a>>,
    ) -> Result<HashMap<Uuid, QueuePosition>> {
        let mut by_queue: BTreeMap<&str, Vec<AvailableJob<'a>>> = BTreeMap::new();
        for job in jobs {
            by_queue.entry(job.queue).or_default().push(job);
        }
        let mut positions = HashMap::new();
        for (queue, jobs) in by_queue {
            let request = self.request(queue);
            let mut latest = request.shared.latest.lock().await;
            let view = latest.as_new_as(&request, &self.pool, conn).await?;
            positions.extend(view.positions(conn, &jobs).await?);
        }
        Ok(positions)
    }

    /// The jobs of `queue` by state, on the caller's connection: all, those of a tenant, and those
    /// of a backfill.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn counts(
        &self,
        conn: &mut PgConnection,
        queue: &str,
        tenant: Option<Uuid>,
        backfill: Option<Uuid>,
    ) -> Result<CountsByState> {
        let request = self.request(queue);
        let mut latest = request.shared.latest.lock().await;
        let view = latest.as_new_as(&request, &self.pool, conn).await?;
        Ok(view.counts_of(tenant, backfill))
    }

    /// Since when the longest-waiting job of `queue` could have started, of those that are next in
    /// their lanes; of at most 1,000 lanes.
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
        let request = self.request(queue);
        let mut conn = self.pool.acquire().await?;
        let mut latest = request.shared.latest.lock().await;
        let view = latest.as_new_as(&request, &self.pool, &mut conn).await?;
        view.oldest(&mut conn, tenant).await
    }

    fn request<'a>(&self, queue: &'a str) -> Request<'a> {
        let mut queues = self.queues.lock();
        let shared = queues.entry(queue.to_owned()).or_default().clone();
        let number = shared.requests.fetch_add(1, Ordering::SeqCst) + 1;
        Request { queue, number, shared }
    }
}

/// One reader's request: a refresh that began after it came in answers it.
struct Request<'a> {
    queue: &'a str,
    number: u64,
    shared: Arc<SharedView>,
}

impl LatestView {
    /// The view as it was when the request came in, or later: refreshed, unless a refresh has
    /// answered it already.
    async fn as_new_as(
        &mut self,
        request: &Request<'_>,
        pool: &PgPool,
        conn: &mut PgConnection,
    ) -> Result<&mut QueueView> {
        if self.answers < request.number || self.view.is_none() {
            let answers = request.shared.requests.load(Ordering::SeqCst);
            let now = Instant::now();
            if let Err(error) = self.refresh(conn, request.queue, now).await {
                // What was visible on a connection that broke may be gone.
                self.view = None;
                if !within(RECOVERY_TIMEOUT, history::recover(pool, &error)).await? {
                    return Err(error);
                }
                self.refresh(conn, request.queue, now).await?;
            }
            self.answers = answers;
        }
        Ok(&mut self.view.as_mut().expect("it was opened above").0)
    }

    async fn refresh(&mut self, conn: &mut PgConnection, queue: &str, now: Instant) -> Result<()> {
        match &mut self.view {
            Some((view, refreshed_at)) if now - *refreshed_at <= MAX_IDLE => {
                view.refresh(conn).await?;
                *refreshed_at = now;
            }
            idle => *idle = Some((QueueView::open(conn, queue).await?, now)),
        }
        Ok(())
    }
}
