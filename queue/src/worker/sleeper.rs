//! Whether a worker is told of new jobs of a queue, or looks for itself.
//!
//! Who is told has a row in `queue.waiters`; without any, enqueues send no notice (see the migration for why). A worker that finds
//! jobs again and again has none: it looks every few milliseconds, and enqueues are spared the notice.
//!
//! Nothing is missed in between. An enqueue looks for sleepers after its transaction has got its number. So whoever was not seen
//! there has put its row down later; its next look finds that transaction ended or under way, and it looks on until it has ended.

use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::database::held::Held;
use crate::error::Result;
use crate::worker::backend::BUSY_LOOK;

/// How long is counted before it is decided again.
const WINDOW: Duration = Duration::from_millis(100);
/// From so many looks with jobs in that time on, a worker looks for itself.
const BUSY: u32 = 20;
/// Below so many it sleeps.
const QUIET: u32 = 5;
/// The first pause for transactions under way.
const SOON: Duration = Duration::from_millis(1);
/// The longest pause for transactions under way.
const LATER: Duration = Duration::from_millis(250);

/// What one worker does in one queue when it finds nothing.
#[derive(Debug)]
pub(crate) struct Sleeper {
    queue: String,
    /// The worker whose row is there.
    posted: Option<Uuid>,
    /// Whether it looks for itself.
    wakeful: bool,
    window: Instant,
    found: u32,
    /// Transactions that were under way at the first look after its row was written; none before that look.
    under_way: Option<Vec<i64>>,
    pause: Duration,
}

impl Sleeper {
    pub(crate) fn new(queue: String) -> Self {
        Self {
            queue,
            posted: None,
            wakeful: false,
            window: Instant::now(),
            found: 0,
            under_way: None,
            pause: SOON,
        }
    }

    /// Whether it looks for itself, as jobs come in all the time.
    pub(crate) fn is_wakeful(&self) -> bool {
        self.wakeful
    }

    /// A look has found jobs, or none.
    pub(crate) async fn looked(&mut self, held: &mut Held, found: bool) -> Result<()> {
        self.found += u32::from(found);
        if self.window.elapsed() < WINDOW {
            return Ok(());
        }
        if self.found >= BUSY {
            self.wakeful = true;
            if let Some(worker) = self.posted.take() {
                sqlx::query!(
                    "delete from queue.waiters where queue = $1 and worker_id = $2",
                    self.queue,
                    worker
                )
                .execute(held.conn().await?)
                .await?;
            }
        } else if self.found < QUIET {
            self.wakeful = false;
        }
        (self.window, self.found) = (Instant::now(), 0);
        Ok(())
    }

    /// Nothing was found, with these transactions under way. How long to wait, at most `pause`, unless something wakes it; zero: look
    /// again at once.
    pub(crate) async fn sleep(
        &mut self,
        held: &mut Held,
        worker: Uuid,
        under_way: &[i64],
        pause: Duration,
    ) -> Result<Duration> {
        if self.wakeful {
            return Ok(pause.min(BUSY_LOOK));
        }
        if self.posted != Some(worker) {
            sqlx::query!(
                "insert into queue.waiters (queue, worker_id) select $1, id from queue.workers where id = $2
                 on conflict do nothing",
                self.queue,
                worker
            )
            .execute(held.conn().await?)
            .await?;
            self.posted = Some(worker);
            (self.under_way, self.pause) = (None, SOON);
            return Ok(Duration::ZERO);
        }
        let unseen = self.under_way.get_or_insert_with(|| under_way.to_vec());
        unseen.retain(|xid| under_way.contains(xid));
        if unseen.is_empty() {
            return Ok(pause);
        }
        let soon = self.pause;
        self.pause = (soon * 2).min(LATER);
        Ok(pause.min(soon))
    }

    /// Something failed: whether the row is there is not known.
    pub(crate) fn forget(&mut self) {
        self.posted = None;
    }
}
