//! The claim loop of one queue in one process: it claims jobs as soon as there are permits for
//! them, and passes them on as attempts.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use uuid::Uuid;

use crate::claim::guard::ClaimKey;
use crate::claim::{Capacity, Claim, Claimer};
use crate::database::deadline::{AdaptiveDeadline, deadline_exceeded, within};
use crate::database::history;
use crate::database::sticky::StickyConnection;
use crate::error::{QueueError, Result};
use crate::worker::Worker;
use crate::worker::attempt::Attempt;
use crate::worker::permits::Permits;
use crate::worker::waiter::{BUSY_POLL_INTERVAL, Waiter};

/// How long a claim may usually take; see [`AdaptiveDeadline`].
const CLAIM_DEADLINE: Duration = Duration::from_secs(10);

/// How long a claim may take once the process drains.
const DRAIN_DEADLINE: Duration = Duration::from_secs(2);

/// The shortest pause after a poll that found fewer jobs than there was capacity for: the jobs that
/// come in meanwhile are claimed together.
const MIN_POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The longest pause of busy polling. Polls are still frequent enough for the [`Waiter`] to notice
/// that jobs come in all the time.
const MAX_BUSY_POLL_INTERVAL: Duration = Duration::from_millis(16);

/// The most time that a claim counts as having taken. One that took longer was delayed by something
/// other than claims of other workers.
const MAX_CLAIM_TIME: Duration = Duration::from_millis(20);

/// Starts claiming up to `concurrency` jobs of `queue` at once, until the worker drains.
pub(super) fn spawn(worker: Worker, queue: String, concurrency: usize) -> mpsc::Receiver<Attempt> {
    let permits = Permits::new(concurrency, worker.wakers().for_queue(&queue));
    // Live work may get permits beyond these, as many as backfills use.
    let (attempts, claimed) = mpsc::channel(concurrency * 2);
    let claim_loop = ClaimLoop {
        sticky: StickyConnection::new(worker.pool().clone()),
        worker,
        permits,
        attempts,
        claimer: None,
        waiter: Waiter::new(queue.clone()),
        queue,
        claim_time: Duration::ZERO,
        poll_interval: MIN_POLL_INTERVAL,
        deadline: AdaptiveDeadline::new(CLAIM_DEADLINE),
    };
    tokio::spawn(claim_loop.run());
    claimed
}

struct ClaimLoop {
    worker: Worker,
    queue: String,
    permits: Permits,
    attempts: mpsc::Sender<Attempt>,
    claimer: Option<Claimer>,
    sticky: StickyConnection,
    waiter: Waiter,
    /// How long the last claim took, including the wait for its place in the claim sequence.
    claim_time: Duration,
    /// The shortest time between two polls.
    poll_interval: Duration,
    deadline: AdaptiveDeadline,
}

impl ClaimLoop {
    /// Runs until the worker drains. No error ends it: it waits for a database that is away.
    async fn run(mut self) {
        let worker = self.worker.clone();
        let waker = worker.wakers().for_queue(&self.queue);
        while !worker.is_draining() {
            let mut capacity = self.capacity();
            if capacity.jobs > 0 && self.permits.is_busy() && self.claim_time >= MIN_POLL_INTERVAL {
                // There is enough to do meanwhile, and one claim of many jobs costs all workers
                // less than many claims of a few.
                tokio::time::sleep(self.claim_time / 2).await;
                capacity = self.capacity();
            }
            let polled = Instant::now();
            let pause =
                if capacity.jobs == 0 { worker.config().poll_interval } else { self.claim(capacity).await };
            if pause.is_zero() {
                continue;
            }
            if pause > MAX_BUSY_POLL_INTERVAL {
                self.sticky.release();
            }
            tokio::select! {
                () = worker.draining() => return,
                () = waker.notified() => {
                    let early = self.poll_interval.saturating_sub(polled.elapsed());
                    // Timers round up: to sleep for no time takes a millisecond.
                    if !early.is_zero() {
                        tokio::time::sleep(early).await;
                    }
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// How many jobs the next claim may take.
    fn capacity(&self) -> Capacity {
        let none = HashMap::new();
        let backfills = self.claimer.as_ref().map_or(&none, |claimer| &claimer.view().settings().backfills);
        let Capacity { jobs, live, backfill } = self.permits.capacity(backfills);
        Capacity { jobs: jobs.min(self.worker.config().claim_batch.max(1)), live, backfill }
    }

    /// Claims once. Returns how long there will be nothing to claim, unless a wake-up comes first.
    async fn claim(&mut self, capacity: Capacity) -> Duration {
        match self.claim_and_hand_over(capacity).await {
            Ok(pause) => pause,
            Err(error) => self.recover(error).await,
        }
    }

    async fn claim_and_hand_over(&mut self, capacity: Capacity) -> Result<Duration> {
        let (worker, id) = (self.worker.clone(), self.worker.id());
        let limit = self.deadline.limit();
        let asked = Instant::now();
        let claimed = within_drain(&worker, limit, self.try_claim(id, capacity)).await;
        self.deadline.adapt(&claimed);
        self.claim_time = asked.elapsed().min(MAX_CLAIM_TIME);
        let claim = claimed?;
        let (found, again) = (claim.jobs.len(), claim.poll_again);
        let max_pause = pause_until_due(&claim, worker.config().poll_interval);
        self.hand_over(id, claim).await;
        if found == 0 && !again {
            within_drain(&worker, limit, self.pause_after_nothing(id, max_pause)).await
        } else {
            within_drain(&worker, limit, self.pause_after_jobs(found, capacity.jobs)).await
        }
    }

    /// After a failed claim: starts over with a new connection and a new view of the queue, and
    /// resolves a doubt about the database's history. Returns how long to wait.
    async fn recover(&mut self, error: QueueError) -> Duration {
        let poll_interval = self.worker.config().poll_interval;
        self.sticky.close();
        self.waiter.forget_row();
        if let Some(claimer) = &mut self.claimer {
            claimer.reopen_view_at_next_claim();
        }
        let recovered = tokio::select! {
            recovered = history::recover(self.worker.pool(), &error) => recovered,
            // The recovery continues in a task of its own.
            () = self.worker.draining() => return poll_interval,
        };
        match recovered {
            Ok(true) => return Duration::ZERO,
            Ok(false) => tracing::warn!(%error, queue = self.queue, "could not claim; trying again"),
            Err(error) => tracing::warn!(%error, "could not compare the database's history; trying again"),
        }
        poll_interval
    }

    /// The pause after a poll that found nothing to claim before `max`.
    async fn pause_after_nothing(&mut self, worker: Uuid, max: Duration) -> Result<Duration> {
        let in_progress =
            self.claimer.as_ref().map_or(&[][..], |claimer| claimer.view().snapshot().in_progress.as_slice());
        self.waiter.record_poll(&mut self.sticky, false).await?;
        self.waiter.pause(&mut self.sticky, worker, in_progress, max).await
    }

    /// The pause after a claim that found jobs, or that has to be made again.
    async fn pause_after_jobs(&mut self, found: usize, capacity: usize) -> Result<Duration> {
        self.waiter.record_poll(&mut self.sticky, found > 0).await?;
        // Where permits are what is scarce, the next claim is made as soon as one is free.
        let jobs_are_scarce = found < capacity;
        // Where claims take long, polls are fewer and find more: a busy machine gets less to do.
        let busy = (self.claim_time * 2).clamp(BUSY_POLL_INTERVAL, MAX_BUSY_POLL_INTERVAL);
        self.poll_interval =
            if jobs_are_scarce && self.waiter.is_busy_polling() { busy } else { MIN_POLL_INTERVAL };
        Ok(if jobs_are_scarce { self.poll_interval } else { Duration::ZERO })
    }

    async fn try_claim(&mut self, worker: Uuid, capacity: Capacity) -> Result<Claim> {
        let conn = self.sticky.conn().await?;
        let claimer = match &mut self.claimer {
            Some(claimer) => claimer,
            none => none.insert(Claimer::open(conn, &self.queue).await?),
        };
        let history = claimer.history();
        let claim = claimer.claim(conn, worker, capacity).await?;
        if claimer.history() != history || claimer.view().awaits_lost_workers {
            // The lease belongs to the history before.
            self.worker.wakers().for_lease().notify_one();
        }
        Ok(claim)
    }

    /// Passes claimed jobs on. What nobody takes any more is handed back.
    async fn hand_over(&self, worker: Uuid, claim: Claim) {
        let key = ClaimKey { worker, queue: self.queue.clone(), claim_seq: claim.claim_seq };
        let guard = self.worker.acknowledged().guard(key, claim.jobs.len());
        let claimed_at = Instant::now();
        for job in claim.jobs {
            self.worker.running().insert(job.run.job, job.run.start());
            let permit = Some(self.permits.take(job.backfill));
            let guard = guard.clone();
            let attempt = Attempt { job, worker, claimed_at, traceparent: None, guard, permit };
            if let Err(unsent) = self.attempts.send(attempt).await {
                unsent.0.hand_back(&self.worker).await;
            }
        }
    }
}

/// Waits for an answer of the database for at most `limit`, and for less once the worker drains: a
/// drain must not be held up by a claim, whose jobs go back with the lease.
async fn within_drain<T>(
    worker: &Worker,
    limit: Duration,
    answer: impl Future<Output = Result<T>>,
) -> Result<T> {
    let drain_deadline = async {
        worker.draining().await;
        tokio::time::sleep(DRAIN_DEADLINE).await;
    };
    tokio::select! {
        answer = within(limit, answer) => answer,
        () = drain_deadline => Err(deadline_exceeded().into()),
    }
}

/// The time until a throttled lane may start a job again, at most `poll_interval`.
fn pause_until_due(claim: &Claim, poll_interval: Duration) -> Duration {
    let due = claim.next_due.map_or(poll_interval, |due| (due - claim.now).to_std().unwrap_or_default());
    due.clamp(MIN_POLL_INTERVAL, poll_interval)
}
