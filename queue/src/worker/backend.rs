//! The apalis backend: claims in, outcomes out.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::error::BoxDynError;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId;
use apalis_core::worker::context::WorkerContext;
use apalis_postgres::PgTask;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::task::coop::unconstrained;
use tower::{Layer, Service};
use uuid::Uuid;

use crate::claim::holdings::{ClaimKey, Share};
use crate::claim::{Claim, ClaimedJob, Claimer, Room};
use crate::database::held::Held;
use crate::database::history;
use crate::database::patience::{Patience, late, within};
use crate::error::Result;
use crate::finish::{Finish, Outcome};
use crate::job::JobError;
use crate::telemetry::trace::Begins;
use crate::worker::host::Host;
use crate::worker::runner::{Failure, trace_id};
use crate::worker::sleeper::Sleeper;
use crate::worker::slots::{Slot, Slots};

/// A claimed job with the slot it occupies until its outcome is handed over.
pub struct Claimed {
    job: ClaimedJob,
    worker: Uuid,
    /// When this process learned of it.
    since: Instant,
    /// W3C trace context of its run.
    traceparent: Option<String>,
    share: Share,
    /// Until it runs; then the run's.
    slot: Option<Slot>,
}

impl Claimed {
    pub(crate) fn job(&self) -> &ClaimedJob {
        &self.job
    }

    pub(crate) fn worker(&self) -> Uuid {
        self.worker
    }

    pub(crate) fn traceparent(&self) -> Option<&String> {
        self.traceparent.as_ref()
    }
}

impl fmt::Debug for Claimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.job.fmt(f)
    }
}

/// What apalis carries from the backend to the service.
pub type JobTask = PgTask<Claimed>;

/// One queue of one worker process.
pub struct QueueBackend<A> {
    host: Host<A>,
    queue: Arc<str>,
    claimed: mpsc::Receiver<Claimed>,
    closing: Option<BoxFuture<'static, ()>>,
}

impl<A> fmt::Debug for QueueBackend<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueBackend").finish_non_exhaustive()
    }
}

impl<A: Send + Sync + 'static> QueueBackend<A> {
    /// Claims from `queue` and runs up to `concurrency` of its jobs at once, until the host drains.
    pub(crate) fn start(host: Host<A>, queue: String, concurrency: usize) -> Self {
        let slots = Slots::new(concurrency, host.wakers().of(&queue));
        let name = queue.as_str().into();
        // Live work may find slots beyond these, as many as backfills use.
        let (sender, claimed) = mpsc::channel(concurrency * 2);
        let claims = ClaimLoop {
            host: host.clone(),
            slots,
            sender,
            claimer: None,
            held: Held::new(host.pool().clone()),
            sleeper: Sleeper::new(queue.clone()),
            queue,
            took: Duration::ZERO,
            pace: LOOK,
            patience: Patience::new(ANSWER),
        };
        tokio::spawn(claims.run());
        Self { host, queue: name, claimed, closing: None }
    }
}

/// Claims for one queue of one process.
struct ClaimLoop<A> {
    host: Host<A>,
    queue: String,
    slots: Slots,
    sender: mpsc::Sender<Claimed>,
    claimer: Option<Claimer>,
    held: Held,
    sleeper: Sleeper,
    /// How long the last claim took, with the wait for its turn.
    took: Duration,
    /// Between two looks, at least.
    pace: Duration,
    /// With the database.
    patience: Patience,
}

impl<A: Send + Sync + 'static> ClaimLoop<A> {
    /// Never ends for an error: a database that is away is waited for.
    async fn run(mut self) {
        let host = self.host.clone();
        let waker = host.wakers().of(&self.queue);
        while !host.is_draining() {
            let mut room = self.room();
            if room.jobs > 0 && self.slots.is_busy() && self.took >= LOOK {
                // There is enough to do meanwhile: one claim of many costs all hosts less than many of a few.
                tokio::time::sleep(self.took / 2).await;
                room = self.room();
            }
            let looked = Instant::now();
            let pause = if room.jobs == 0 { host.poll_interval() } else { self.claim(room).await };
            if pause.is_zero() {
                continue;
            }
            if pause > MOST_BUSY_LOOK {
                self.held.release();
            }
            tokio::select! {
                () = host.drained() => return,
                () = waker.notified() => {
                    let early = self.pace.saturating_sub(looked.elapsed());
                    // Timers round up: to sleep for no time takes a millisecond.
                    if !early.is_zero() {
                        tokio::time::sleep(early).await;
                    }
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn room(&self) -> Room {
        let none = HashMap::new();
        let backfills = self.claimer.as_ref().map_or(&none, |claimer| &claimer.book().settings().backfills);
        let Room { jobs, live, backfill } = self.slots.room(backfills);
        Room { jobs: jobs.min(self.host.claim_batch()), live, backfill }
    }

    /// Claims once; returns how long there will be nothing to claim, unless something wakes it.
    async fn claim(&mut self, room: Room) -> Duration {
        let poll = self.host.poll_interval();
        let worker = self.host.worker_id();
        let asked = Instant::now();
        let host = self.host.clone();
        let limit = self.patience.limit();
        let claimed = answered(&host, limit, self.try_claim(worker, room)).await;
        self.patience.learn(&claimed);
        self.took = asked.elapsed().min(MOST_GATHERED);
        let paused = match claimed {
            Ok(claim) => {
                let (found, again, until) = (claim.jobs.len(), claim.again, pause_until(&claim, poll));
                self.hand_over(worker, claim).await;
                match found {
                    0 if !again => answered(&host, limit, self.sleep(worker, until)).await,
                    _ => answered(&host, limit, self.go_on(found, room.jobs)).await,
                }
            }
            Err(error) => Err(error),
        };
        match paused {
            Ok(pause) => pause,
            Err(error) => {
                self.held.close();
                self.sleeper.forget();
                if let Some(claimer) = &mut self.claimer {
                    claimer.begin_anew();
                }
                let recovered = tokio::select! {
                    recovered = history::recover(self.host.pool(), &error) => recovered,
                    // It goes on by itself.
                    () = self.host.drained() => return poll,
                };
                match recovered {
                    Ok(true) => return Duration::ZERO,
                    Ok(false) => tracing::warn!(%error, queue = self.queue, "could not claim; trying again"),
                    Err(error) => {
                        tracing::warn!(%error, "could not compare the database's history; trying again");
                    }
                }
                poll
            }
        }
    }

    /// Nothing may start before so long.
    async fn sleep(&mut self, worker: Uuid, until: Duration) -> Result<Duration> {
        let under_way =
            self.claimer.as_ref().map_or(&[][..], |claimer| claimer.book().seen().under_way.as_slice());
        self.sleeper.looked(&mut self.held, false).await?;
        self.sleeper.sleep(&mut self.held, worker, under_way, until).await
    }

    async fn go_on(&mut self, found: usize, room: usize) -> Result<Duration> {
        self.sleeper.looked(&mut self.held, found > 0).await?;
        // Where slots are what is scarce, the next jobs are wanted as soon as one is free.
        let scarce = found < room;
        let busy = (self.took * 2).clamp(BUSY_LOOK, MOST_BUSY_LOOK);
        self.pace = if scarce && self.sleeper.is_wakeful() { busy } else { LOOK };
        Ok(if scarce { self.pace } else { Duration::ZERO })
    }

    async fn try_claim(&mut self, worker: Uuid, room: Room) -> Result<Claim> {
        let conn = self.held.conn().await?;
        let claimer = match &mut self.claimer {
            Some(claimer) => claimer,
            none => none.insert(Claimer::open(conn, &self.queue).await?),
        };
        let history = claimer.history();
        let claim = claimer.claim(conn, worker, room).await?;
        if claimer.history() != history || claimer.book().awaits_lost_workers {
            // The lease is of the one before.
            self.host.wakers().of_lease().notify_one();
        }
        Ok(claim)
    }

    async fn hand_over(&self, worker: Uuid, claim: Claim) {
        let key = ClaimKey { worker, queue: self.queue.clone(), no: claim.no };
        let share = self.host.worked_off().expect(key, claim.jobs.len());
        let since = Instant::now();
        for job in claim.jobs {
            self.host.running().insert(job.run.job, job.run.start());
            let slot = self.slots.take(job.backfill);
            let share = share.clone();
            let claimed = Claimed { job, worker, since, traceparent: None, share, slot: Some(slot) };
            if let Err(unsent) = self.sender.send(claimed).await {
                hand_back(&self.host, &unsent.0).await;
            }
        }
    }
}

/// An answer of the database within `limit`, and sooner where the host drains: it must not be held up by a claim, whose jobs go back
/// with the lease.
async fn answered<A: Send + Sync + 'static, T>(
    host: &Host<A>,
    limit: Duration,
    answer: impl Future<Output = Result<T>>,
) -> Result<T> {
    let last = async {
        host.drained().await;
        tokio::time::sleep(LAST_ANSWER).await;
    };
    tokio::select! {
        answer = within(limit, answer) => answer,
        () = last => Err(late().into()),
    }
}

/// Until a throttled lane may go on, or the next look of habit.
fn pause_until(claim: &Claim, poll: Duration) -> Duration {
    let due = claim.next_due.map_or(poll, |due| (due - claim.now).to_std().unwrap_or_default());
    due.clamp(LOOK, poll)
}

/// How long a claim usually takes at most; see [`Patience`].
const ANSWER: Duration = Duration::from_secs(10);

/// The same once the host drains.
const LAST_ANSWER: Duration = Duration::from_secs(2);

/// Between two looks that found less than there was room for: what comes in meanwhile is claimed together.
const LOOK: Duration = Duration::from_millis(1);

/// The same while jobs come in all the time, and fewer than there is room for. Longer where claims take long: a machine
/// that is busy gets fewer and larger ones.
pub(crate) const BUSY_LOOK: Duration = Duration::from_millis(4);

/// The longest of these pauses: often enough for the [`Sleeper`] to see that jobs come in all the time.
const MOST_BUSY_LOOK: Duration = Duration::from_millis(16);

/// A claim that took longer was held up by something else than others' claims.
const MOST_GATHERED: Duration = Duration::from_millis(20);

async fn hand_back<A: Send + Sync + 'static>(host: &Host<A>, claimed: &Claimed) {
    end(host, &claimed.job, claimed.share.clone(), Outcome::HandedBack).await;
}

async fn end<A: Send + Sync + 'static>(host: &Host<A>, job: &ClaimedJob, share: Share, outcome: Outcome) {
    host.running().remove(job.run.job, job.run.run);
    host.finish(Finish::of(&job.run, outcome), share).await;
}

impl<A: Send + Sync + 'static> Backend for QueueBackend<A> {
    type Task = JobTask;
    type Error = std::convert::Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Self::Error>>> {
        let Some(claimed) = ready!(self.claimed.poll_recv(cx)) else { return Poll::Ready(None) };
        let run = &claimed.job.run;
        let (id, attempt) = (run.job, usize::from(run.attempt));
        Poll::Ready(Some(Ok(TaskBuilder::new(claimed)
            .task_id(TaskId::from_uuid(id))
            .attempt(attempt)
            .build())))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Self::Error>> {
        if self.closing.is_none() {
            let host = self.host.clone();
            let mut claimed = std::mem::replace(&mut self.claimed, mpsc::channel(1).1);
            // What was claimed and not started goes back at once; the channel ends when the claimer does.
            self.closing = Some(Box::pin(async move {
                while let Some(unstarted) = claimed.recv().await {
                    hand_back(&host, &unstarted).await;
                }
            }));
        }
        let closing = self.closing.as_mut().expect("set above");
        closing.as_mut().poll(cx).map(Ok)
    }
}

impl<A: Send + Sync + 'static> BackendConfig for QueueBackend<A> {
    type Args = Claimed;
    type Id = Uuid;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = FinishLayer<A>;

    fn config(&self) -> &Self::Config {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Self::Layer {
        FinishLayer { host: self.host.clone(), queue: self.queue.clone() }
    }
}

/// Around everything a worker runs: hands each run's outcome to the finisher.
pub struct FinishLayer<A> {
    host: Host<A>,
    queue: Arc<str>,
}

impl<A> fmt::Debug for FinishLayer<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FinishLayer").finish_non_exhaustive()
    }
}

impl<A, S> Layer<S> for FinishLayer<A> {
    type Service = FinishService<A, S>;

    fn layer(&self, inner: S) -> Self::Service {
        FinishService { host: self.host.clone(), queue: self.queue.clone(), inner }
    }
}

/// See [`FinishLayer`].
pub struct FinishService<A, S> {
    host: Host<A>,
    queue: Arc<str>,
    inner: S,
}

impl<A, S> fmt::Debug for FinishService<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FinishService").finish_non_exhaustive()
    }
}

impl<A, S> Service<JobTask> for FinishService<A, S>
where
    A: Send + Sync + 'static,
    S: Service<JobTask, Response = Outcome>,
    S::Error: Into<BoxDynError>,
    S::Future: Send + 'static,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<(), BoxDynError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut task: JobTask) -> Self::Future {
        let host = self.host.clone();
        let (job, share) = (task.args.job.clone(), task.args.share.clone());
        let span = host
            .tracer()
            .map(|tracer| tracer.begin(&Begins { job: &job, queue: &self.queue, claimed: task.args.since }));
        task.args.traceparent = span.as_ref().map(|span| span.traceparent());
        let slot = task.args.slot.take();
        let run = self.inner.call(task);
        // apalis polls all runs of a queue in one task, for which tokio has a budget: 128 runs would get on at a time, and all others
        // that are ready be polled in vain before the next 128.
        Box::pin(unconstrained(async move {
            let meter = host.meter().of(&job.kind);
            meter.start(&job);
            let begun = Instant::now();
            let outcome = match run.await.map_err(Into::into) {
                Ok(outcome) => outcome,
                Err(error) => host.judge(&job, failure(error)),
            };
            meter.end(&outcome, begun.elapsed());
            if let Outcome::Retry { code, message, .. } | Outcome::Discarded { code, message } = &outcome {
                host.meter().failed(&job.kind, code, message);
            }
            report(&job, &outcome);
            if let Some(span) = span {
                span.end(&outcome);
            }
            end(&host, &job, share, outcome).await;
            drop(slot);
            Ok(())
        }))
    }
}

/// The log line of a run; only what somebody may have to look into is above debug.
fn report(job: &ClaimedJob, outcome: &Outcome) {
    let run = &job.run;
    let trace = run.traceparent.as_deref().and_then(trace_id);
    macro_rules! line {
        ($level:ident, $($rest:tt)+) => {
            tracing::$level!(
                job.id = %run.job, job.kind = %job.kind, job.attempt = run.attempt, tenant.id = %run.tenant,
                trace.id = trace, $($rest)+
            )
        };
    }
    match outcome {
        Outcome::Retry { code, message, delay } => {
            line!(info, code, message, ?delay, "failed; will run again");
        }
        Outcome::Discarded { code, message } => line!(warn, code, message, "discarded"),
        Outcome::Cancelled => line!(info, "cancelled"),
        Outcome::HandedBack => line!(info, "handed back"),
        Outcome::Snoozed(delay) => line!(debug, ?delay, "snoozed"),
        Outcome::Completed { .. } | Outcome::AlreadyFinished => line!(debug, "completed"),
    }
}

/// What a layer reports that is not a handler's own failure is a panic that apalis caught.
fn failure(error: BoxDynError) -> JobError {
    match error.downcast::<Failure>() {
        Ok(failure) => failure.0,
        Err(other) => JobError::failed("panicked", anyhow::anyhow!("{other}")),
    }
}
