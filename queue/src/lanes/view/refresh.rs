//! Opens a view and keeps it up to date.

use chrono::TimeDelta;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::{QueueError, Result};
use crate::lanes::view::{QueueView, checkpoint};
use crate::lanes::{log, settings};

/// A view that was not refreshed for longer is opened anew; the log is kept for twice as long.
const MAX_AGE: TimeDelta = TimeDelta::minutes(5);

/// How old the capacity of the queue's workers may be. Only the share of backfills depends on it.
const CAPACITY_MAX_AGE: TimeDelta = TimeDelta::seconds(2);

/// How old the oldest claim may be. It only bounds how many claims a claim reads.
const OLDEST_CLAIM_MAX_AGE: TimeDelta = TimeDelta::seconds(1);

impl QueueView {
    /// A view of `queue` as it is now.
    pub async fn open(conn: &mut PgConnection, queue: &str) -> Result<Self> {
        let mut view = Self::from_checkpoint(conn, queue).await?;
        view.refresh(conn).await?;
        Ok(view)
    }

    async fn from_checkpoint(conn: &mut PgConnection, queue: &str) -> Result<Self> {
        let view = checkpoint::load(conn, queue).await?;
        Ok(Self { awaits_lost_workers: true, ..view })
    }

    /// Reads what all workers have logged since the last refresh.
    pub async fn refresh(&mut self, conn: &mut PgConnection) -> Result<()> {
        let mut tail = log::read_after(conn, &self.queue, &self.snapshot).await?;
        let is_too_old = self.snapshot.xmax > 0 && (tail.now - self.now).abs() > MAX_AGE;
        let mut reopen = is_too_old || self.must_reopen;
        while reopen || (tail.history, tail.server_started) != (self.history, self.server_started) {
            *self = Self::from_checkpoint(conn, &self.queue).await?;
            tail = log::read_after(conn, &self.queue, &self.snapshot).await?;
            reopen = false;
        }
        if tail.snapshot.xmax < self.snapshot.xmax {
            let (seen, is) = (self.snapshot.xmax, tail.snapshot.xmax);
            return Err(QueueError::WentBack { history: self.history, seen, next: is });
        }
        if self.awaits_lost_workers {
            self.awaits_lost_workers = has_lost_workers(conn, self.history).await?;
        }
        // The settings are read after the log: they may hold a later change already, but never miss
        // one of the log.
        let changed = !self.knows_settings || tail.claims.iter().any(|claim| claim.worker.is_none());
        let settings = if changed { Some(settings::load(conn, &self.queue).await?) } else { None };
        if !self.backfills.is_empty() && (tail.now - self.worker_capacity_at).abs() > CAPACITY_MAX_AGE {
            self.worker_capacity = worker_capacity(conn, &self.queue).await?;
            self.worker_capacity_at = tail.now;
        }
        if (tail.now - self.oldest_claim_at).abs() > OLDEST_CLAIM_MAX_AGE {
            let last = tail.claims.iter().map(|claim| claim.claim_seq).max().unwrap_or_default();
            let next = last.max(self.claim_seq) + 1;
            self.oldest_claim = oldest_claim(conn, &self.queue, self.oldest_claim, next).await?;
            self.oldest_claim_at = tail.now;
        }
        // Nothing is awaited from here on: the view takes over all that was read, or (when this is
        // dropped before) nothing of it.
        self.apply(&tail);
        if let Some(settings) = settings {
            self.settings = settings;
            self.knows_settings = true;
            self.reschedule_all();
        }
        Ok(())
    }

    /// A connection broke while it was used for this view: the next refresh opens the view anew.
    pub(crate) fn reopen_at_next_refresh(&mut self) {
        self.must_reopen = true;
    }
}

/// The oldest claim of the queue, from `since` on, that is not acknowledged; `next` where there is
/// none.
async fn oldest_claim(conn: &mut PgConnection, queue: &str, since: i64, next: i64) -> Result<i64> {
    let oldest = sqlx::query_scalar!(
        "select min(claim_seq) from queue.claims where queue = $1 and claim_seq >= $2",
        queue,
        since
    )
    .fetch_one(conn)
    .await?;
    Ok(oldest.unwrap_or(next))
}

/// Jobs that the live workers of the queue can run at once.
async fn worker_capacity(conn: &mut PgConnection, queue: &str) -> Result<i64> {
    let capacity = sqlx::query_scalar!(
        r#"select coalesce(sum(coalesce((queue_capacity ->> $1::text)::bigint, capacity)), 0)::bigint as "capacity!" from queue.workers
           where $1 = any(queues) and lease_until > queue.now() and drain_requested_at is null"#,
        queue
    )
    .fetch_one(conn)
    .await?;
    Ok(capacity)
}

/// Whether workers of another history than `history` may still run what they claimed in it.
async fn has_lost_workers(conn: &mut PgConnection, history: Uuid) -> Result<bool> {
    let live = sqlx::query_scalar!(
        r#"select exists (
               select from queue.workers where history is distinct from $1 and lease_until > queue.now()) as "live!""#,
        history
    )
    .fetch_one(conn)
    .await?;
    Ok(live)
}
