//! Whether a worker waits for notifications of a queue's new jobs, or polls busily.
//!
//! A worker that waits has a row in `queue.waiters`. Without any such row, enqueues send no
//! notification (the migration says why). A worker whose polls find jobs again and again deletes
//! its row and polls every few milliseconds instead, which spares the enqueues the notification.
//!
//! Nothing is missed in between. An enqueue looks for waiting workers after its transaction has got
//! its id. So a worker whose row it did not see has inserted the row later; the worker's next poll
//! finds that transaction ended or in progress, and the worker keeps polling until it has ended.

use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::database::sticky::StickyConnection;
use crate::error::Result;

/// How often a worker polls busily.
pub(super) const BUSY_POLL_INTERVAL: Duration = Duration::from_millis(4);
/// How long polls are counted before the worker decides anew between waiting and busy polling.
const WINDOW: Duration = Duration::from_millis(100);
/// From this many polls with jobs in a window on, the worker polls busily.
const BUSY_FROM: u32 = 20;
/// Below this many polls with jobs in a window, the worker waits.
const WAIT_BELOW: u32 = 5;
/// The first pause while transactions are in progress whose jobs might be missed.
const MIN_PAUSE: Duration = Duration::from_millis(1);
/// The longest such pause.
const MAX_PAUSE: Duration = Duration::from_millis(250);

/// What one worker does in one queue when it finds nothing to claim.
#[derive(Debug)]
pub(super) struct Waiter {
    queue: String,
    /// The worker whose row is in the table.
    registered: Option<Uuid>,
    busy_polling: bool,
    window_begun: Instant,
    polls_with_jobs: u32,
    /// The transactions that were in progress at the first poll after the row was inserted and have
    /// not ended since; none before that poll.
    unseen: Option<Vec<i64>>,
    pause: Duration,
}

impl Waiter {
    pub(super) fn new(queue: String) -> Self {
        Self {
            queue,
            registered: None,
            busy_polling: false,
            window_begun: Instant::now(),
            polls_with_jobs: 0,
            unseen: None,
            pause: MIN_PAUSE,
        }
    }

    /// Whether the worker polls busily, as jobs come in all the time.
    pub(super) fn is_busy_polling(&self) -> bool {
        self.busy_polling
    }

    /// Counts a poll, which has found jobs or none, and decides at the end of each window between
    /// waiting and busy polling.
    pub(super) async fn record_poll(&mut self, sticky: &mut StickyConnection, found: bool) -> Result<()> {
        self.polls_with_jobs += u32::from(found);
        if self.window_begun.elapsed() < WINDOW {
            return Ok(());
        }
        if self.polls_with_jobs >= BUSY_FROM {
            self.busy_polling = true;
            if let Some(worker) = self.registered.take() {
                sqlx::query!(
                    "delete from queue.waiters where queue = $1 and worker_id = $2",
                    self.queue,
                    worker
                )
                .execute(sticky.conn().await?)
                .await?;
            }
        } else if self.polls_with_jobs < WAIT_BELOW {
            self.busy_polling = false;
        }
        (self.window_begun, self.polls_with_jobs) = (Instant::now(), 0);
        Ok(())
    }

    /// How long to wait after a poll that found nothing while the transactions `in_progress` had
    /// not ended: at most `max`, unless a notification comes first. Zero means to poll again at
    /// once.
    pub(super) async fn pause(
        &mut self,
        sticky: &mut StickyConnection,
        worker: Uuid,
        in_progress: &[i64],
        max: Duration,
    ) -> Result<Duration> {
        if self.busy_polling {
            return Ok(max.min(BUSY_POLL_INTERVAL));
        }
        if self.registered != Some(worker) {
            sqlx::query!(
                "insert into queue.waiters (queue, worker_id) select $1, id from queue.workers where id = $2
                 on conflict do nothing",
                self.queue,
                worker
            )
            .execute(sticky.conn().await?)
            .await?;
            self.registered = Some(worker);
            (self.unseen, self.pause) = (None, MIN_PAUSE);
            return Ok(Duration::ZERO);
        }
        let unseen = self.unseen.get_or_insert_with(|| in_progress.to_vec());
        unseen.retain(|xid| in_progress.contains(xid));
        if unseen.is_empty() {
            return Ok(max);
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(MAX_PAUSE);
        Ok(max.min(pause))
    }

    /// After a failure it is not known whether the row is in the table: it is inserted anew.
    pub(super) fn forget_row(&mut self) {
        self.registered = None;
    }
}
