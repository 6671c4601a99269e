//! One worker process: its lease, its wake-ups, its running jobs, and the finisher they share.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use uuid::Uuid;

use crate::claim::ClaimedJob;
use crate::claim::holdings::{Share, WorkedOff};
use crate::claim::mark;
use crate::database::history;
use crate::database::patience::within;
use crate::error::{QueueError, Result};
use crate::finish::finisher::{self, Ended, Writing};
use crate::finish::{Finish, Outcome};
use crate::job::JobError;
use crate::job::registry::Registry;
use crate::maintenance::leader::Leader;
use crate::maintenance::pruner::Retention;
use crate::maintenance::scheduler::Scheduler;
use crate::maintenance::{self, Maintenance};
use crate::schedule::Schedules;
use crate::telemetry::meter::Meter;
use crate::telemetry::pulse;
use crate::telemetry::trace::Tracer;
use crate::worker::backend::QueueBackend;
use crate::worker::concurrency::Concurrency;
use crate::worker::lease::{self, Line, Registration, Renewal, Renewed};
use crate::worker::listener::{self, Wakers};
use crate::worker::runner::Runner;
use crate::worker::running::{Running, StopReason};

/// The longest lease of the leader; half of a worker's where that is shorter. So another host leads, and rescues, by the
/// time the lease of a worker that died as leader ends.
const LEADER_LEASE: Duration = Duration::from_secs(8);

/// How long the connection of the lease may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// How long the last words to the database may take before it is left without; outcomes, for as long as none is written.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// How long upkeep may take to end what it is in the middle of.
const UPKEEP_LIMIT: Duration = Duration::from_secs(1);

/// Most jobs that are marked in one statement.
const MARKED_AT_ONCE: usize = 1000;

/// How a worker process behaves.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// Name of the machine, for people.
    pub host: String,
    /// Version of the program, for people.
    pub version: String,
    /// How long its jobs are its own after its last sign of life; it gives one three times in that time.
    pub lease: Duration,
    /// How often it looks for jobs when nothing wakes it.
    pub poll_interval: Duration,
    /// How long a cancelled handler may take to return before it is dropped.
    pub cancel_grace: Duration,
    /// Jobs it runs at once.
    pub concurrency: Concurrency,
    /// Most jobs in one claim, at least 1.
    pub claim_batch: usize,
    /// What it fires by the clock when it leads.
    pub schedules: Schedules,
    /// How long it keeps what is finished, when it leads.
    pub retention: Retention,
    /// Where jitter comes from.
    pub seed: u64,
    /// Makes spans of its runs.
    pub tracer: Option<Arc<dyn Tracer>>,
}

impl HostConfig {
    /// Usual settings, no schedules, with jitter from `seed`.
    pub fn new(host: impl Into<String>, version: impl Into<String>, seed: u64) -> Self {
        Self {
            host: host.into(),
            version: version.into(),
            lease: Duration::from_secs(30),
            poll_interval: Duration::from_secs(1),
            cancel_grace: Duration::from_secs(10),
            concurrency: Concurrency::default(),
            claim_batch: 1000,
            schedules: Schedules::default(),
            retention: Retention::default(),
            seed,
            tracer: None,
        }
    }
}

struct Inner<A> {
    pool: PgPool,
    registry: Arc<Registry<A>>,
    config: HostConfig,
    worker: Mutex<Uuid>,
    running: Running,
    wakers: Wakers,
    rng: Mutex<StdRng>,
    outcomes: mpsc::Sender<Ended>,
    worked_off: WorkedOff,
    /// Groups of outcomes that were written.
    groups: Arc<AtomicU64>,
    pulse: Arc<pulse::Writer>,
    /// No new claims.
    draining: CancellationToken,
    /// Somebody has told it to drain, through the database.
    told_to_drain: CancellationToken,
    /// Everything ends.
    stopped: CancellationToken,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    finisher: Mutex<Option<JoinHandle<()>>>,
}

/// A handle on the worker process, shared by its queues.
pub struct Host<A>(Arc<Inner<A>>);

impl<A> Clone for Host<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<A> fmt::Debug for Host<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl<A: Send + Sync + 'static> Host<A> {
    /// Registers the process for the queues of `registry` and starts its upkeep: heartbeat, wake-ups, finisher,
    /// promoter, settler, expander, and what the leader does while it leads.
    ///
    /// # Errors
    /// When the database cannot be reached to register.
    pub async fn start(pool: PgPool, registry: Arc<Registry<A>>, config: HostConfig) -> Result<Self> {
        let worker = Registration {
            host: config.host.clone(),
            version: config.version.clone(),
            queues: registry.queues().into_iter().map(str::to_owned).collect(),
            concurrency: config.concurrency.clone(),
            lease: config.lease,
        };
        history::compare(&pool).await?;
        // An answer that takes longer leaves no time to ask again before the lease ends.
        // Its connection is there from now on: where a process has used up its files, a new one could not be opened.
        let mut line = Line::new(&pool, ANSWER.min(config.lease / 3));
        let id = line.register(&worker).await?;
        let (outcomes, handed_over) = mpsc::channel(10_000);
        let host = Self(Arc::new(Inner {
            pool: pool.clone(),
            pulse: Arc::new(pulse::Writer::new(registry.meter().clone())),
            registry,
            worker: Mutex::new(id),
            running: Running::default(),
            wakers: Wakers::default(),
            rng: Mutex::new(StdRng::seed_from_u64(config.seed)),
            outcomes,
            worked_off: WorkedOff::default(),
            groups: Arc::default(),
            draining: CancellationToken::new(),
            told_to_drain: CancellationToken::new(),
            stopped: CancellationToken::new(),
            tasks: Mutex::default(),
            finisher: Mutex::default(),
            config,
        }));
        let stop = host.0.stopped.clone();
        let finisher = tokio::spawn(finisher::run(
            pool.clone(),
            handed_over,
            host.room(),
            Writing {
                worked_off: host.worked_off().clone(),
                meter: host.meter().clone(),
                lease: host.wakers().of_lease(),
                stop: stop.clone(),
            },
        ));
        *host.0.finisher.lock().expect("no panic while held") = Some(finisher);
        let tasks = [
            tokio::spawn(listener::listen(
                pool.clone(),
                host.wakers().clone(),
                host.running().clone(),
                host.meter().clone(),
                stop.clone(),
            )),
            tokio::spawn(keep_lease(host.clone(), worker, line)),
            tokio::spawn(maintenance::run(host.maintenance(), stop)),
        ];
        host.0.tasks.lock().expect("no panic while held").extend(tasks);
        Ok(host)
    }

    /// Wakes the claimers of this process.
    fn room(&self) -> impl Fn() + Send + 'static {
        let wakers: Vec<_> =
            self.0.registry.queues().into_iter().map(|queue| self.wakers().of(queue)).collect();
        let groups = self.0.groups.clone();
        move || {
            groups.fetch_add(1, Ordering::Relaxed);
            for waker in &wakers {
                waker.notify_one();
            }
        }
    }

    fn maintenance(&self) -> Maintenance {
        let Inner { pool, config, wakers, registry, pulse, .. } = &*self.0;
        let lease = LEADER_LEASE.min(config.lease / 2);
        Maintenance {
            pool: pool.clone(),
            leader: Leader::new(pool.clone(), &config.host, lease),
            scheduler: Scheduler::new(config.schedules.clone()),
            retention: config.retention,
            slices: registry.slices(),
            wakers: wakers.clone(),
            meter: registry.meter().clone(),
            pulse: pulse.clone(),
            seed: config.seed,
        }
    }

    /// Starts claiming from `queue`, for an apalis worker to run.
    pub fn backend(&self, queue: &str) -> QueueBackend<A> {
        QueueBackend::start(self.clone(), queue.to_owned(), self.0.config.concurrency.of(queue))
    }

    /// The service that runs what the backends claim.
    pub fn runner(&self) -> Runner<A> {
        Runner::new(self.clone(), self.0.registry.clone())
    }

    /// No new claims from now on; jobs that run may end.
    pub fn drain(&self) {
        self.0.draining.cancel();
    }

    /// Resolves when somebody has told this worker, through the database, to drain ([`crate::worker::drain`]).
    pub async fn told_to_drain(&self) {
        self.0.told_to_drain.cancelled().await;
    }

    /// Stops the jobs that still run and hands them back, for others to start at once.
    pub fn hand_back_running(&self) {
        self.0.running.stop_all(StopReason::ShuttingDown);
    }

    /// Writes the last outcomes, gives the lease up and stops. Call after the backends have closed.
    ///
    /// # Errors
    /// When the database cannot be told in a few seconds; the lease then runs out by itself.
    pub async fn close(&self) -> Result<()> {
        self.drain();
        self.0.stopped.cancel();
        let tasks = std::mem::take(&mut *self.0.tasks.lock().expect("no panic while held"));
        let ending: Vec<_> = tasks.iter().map(JoinHandle::abort_handle).collect();
        let ended = tokio::time::timeout(UPKEEP_LIMIT, async {
            for task in tasks {
                let _ = task.await;
            }
        });
        let (_, all_written) = tokio::join!(ended, self.last_outcomes());
        // What upkeep is in the middle of is a transaction, which is rolled back.
        ending.iter().for_each(AbortHandle::abort);
        // A database that took no outcome will hardly answer now.
        let limit = if all_written { CLOSE_LIMIT } else { UPKEEP_LIMIT };
        within(limit, async {
            if let Err(error) = self.0.pulse.run_once(&self.0.pool).await {
                tracing::warn!(%error, "the last seconds of this worker are missing in the charts");
            }
            lease::give_up(&self.0.pool, self.worker_id()).await
        })
        .await
    }

    /// Waits until all outcomes are written, for as long as some are within each [`CLOSE_LIMIT`]; whether they are.
    async fn last_outcomes(&self) -> bool {
        let finisher = self.0.finisher.lock().expect("no panic while held").take();
        let Some(mut finisher) = finisher else { return true };
        loop {
            let before = self.0.groups.load(Ordering::Relaxed);
            if tokio::time::timeout(CLOSE_LIMIT, &mut finisher).await.is_ok() {
                return true;
            }
            if self.0.groups.load(Ordering::Relaxed) == before {
                finisher.abort();
                tracing::error!("the last outcomes could not be written; their jobs will be rescued");
                return false;
            }
        }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    pub(crate) fn running(&self) -> &Running {
        &self.0.running
    }

    pub(crate) fn worked_off(&self) -> &WorkedOff {
        &self.0.worked_off
    }

    pub(crate) fn meter(&self) -> &Meter {
        self.0.registry.meter()
    }

    pub(crate) fn wakers(&self) -> &Wakers {
        &self.0.wakers
    }

    pub(crate) fn worker_id(&self) -> Uuid {
        *self.0.worker.lock().expect("no panic while held")
    }

    pub(crate) fn holds_lease(&self, worker: Uuid) -> bool {
        self.worker_id() == worker
    }

    pub(crate) fn poll_interval(&self) -> Duration {
        self.0.config.poll_interval
    }

    pub(crate) fn cancel_grace(&self) -> Duration {
        self.0.config.cancel_grace
    }

    pub(crate) fn claim_batch(&self) -> usize {
        self.0.config.claim_batch.max(1)
    }

    pub(crate) fn tracer(&self) -> Option<&dyn Tracer> {
        self.0.config.tracer.as_deref()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.0.draining.is_cancelled()
    }

    pub(crate) fn drained(&self) -> WaitForCancellationFuture<'_> {
        self.0.draining.cancelled()
    }

    pub(crate) fn judge(&self, job: &ClaimedJob, error: JobError) -> Outcome {
        self.0.registry.judge(job, error, &mut *self.0.rng.lock().expect("no panic while held"))
    }

    /// Waits while the finisher is far behind: a database that is away must not fill the memory.
    pub(crate) async fn finish(&self, finish: Finish, share: Share) {
        if matches!(finish.outcome, Outcome::AlreadyFinished) {
            share.over();
        } else if self.0.outcomes.send(Ended { finish, share }).await.is_err() {
            tracing::error!("an outcome came after the worker had closed; its job will be rescued");
        }
    }
}

/// Jobs that run for longer show it in their rows.
async fn mark_running<A: Send + Sync + 'static>(host: &Host<A>, line: &mut Line) {
    loop {
        let mut starts = host.running().to_mark(mark::AFTER, MARKED_AT_ONCE);
        if starts.is_empty() {
            return;
        }
        let all = starts.len() < MARKED_AT_ONCE;
        // What still runs of a lease before is somebody else's by now.
        let worker = host.worker_id();
        starts.retain(|start| start.worker == worker);
        let seqs: HashSet<i64> = starts.iter().map(|start| start.seq).collect();
        match line.mark(starts.into_iter().collect()).await {
            Ok(held) => host.running().not_marked(|seq| held.contains(&seq)),
            Err(error) => {
                // Ten times a second while the database is away: the lease's renewal says it louder.
                tracing::debug!(%error, "could not mark running jobs; trying on");
                if error.is_worker_of_lost_history() {
                    host.wakers().of_lease().notify_one();
                }
                host.running().not_marked(|seq| seqs.contains(&seq));
                return;
            }
        }
        if all {
            return;
        }
    }
}

/// Finds out how a heartbeat failed, where that tells of another history.
async fn recover<A: Send + Sync + 'static>(host: Host<A>, error: QueueError) {
    if history::recover(&host.0.pool, &error).await.unwrap_or(false) {
        host.wakers().of_lease().notify_one();
    }
}

/// Gives back what a worker of a lost history has claimed, as far as this database knows of it, once it has ended: until
/// then nobody claims, as limits count what still runs.
async fn retire<A: Send + Sync + 'static>(host: Host<A>, worker: Uuid) {
    host.worked_off().drop_of(worker);
    while host.running().has_runs_of(worker) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if let Err(error) = lease::give_up(&host.0.pool, worker).await {
        tracing::warn!(%error, "could not hand back what ran in a lost history; the lease's end will");
    }
}

/// Three signs of life a lease. A lease that was lost stops what runs under it and is replaced by a new one.
async fn keep_lease<A: Send + Sync + 'static>(host: Host<A>, registration: Registration, mut line: Line) {
    let interval = registration.lease / 3;
    let mut renewed_at = Instant::now();
    let (drain, another_history) = (host.wakers().of_drain(), host.wakers().of_lease());
    loop {
        let mut at_once = false;
        tokio::select! {
            () = host.0.stopped.cancelled() => return line.close().await,
            () = drain.notified() => at_once = true,
            () = another_history.notified() => at_once = true,
            () = tokio::time::sleep(mark::AFTER.min(interval)) => {}
        }
        mark_running(&host, &mut line).await;
        if !at_once && renewed_at.elapsed() < interval {
            continue;
        }
        renewed_at = Instant::now();
        let worked_off = host.worked_off().take();
        let renewed = line.renew(host.worker_id(), registration.lease, &worked_off).await;
        if renewed.is_err() {
            host.worked_off().put_back(worked_off);
        }
        match renewed {
            Ok(Renewal::Renewed(Renewed { cancels, drains })) => {
                if drains && !host.0.told_to_drain.is_cancelled() {
                    tracing::info!("told to drain: running jobs may end");
                    host.0.told_to_drain.cancel();
                }
                for job in cancels {
                    host.running().stop(job, StopReason::Cancelled);
                }
            }
            Ok(lost @ (Renewal::Over | Renewal::HistoryLost)) => {
                host.meter().add_lease_lost();
                if matches!(lost, Renewal::Over) {
                    tracing::warn!("this worker's lease ran out; what it ran may run elsewhere by now");
                } else {
                    tracing::warn!("the database has another history; what this worker runs is handed back");
                    tokio::spawn(retire(host.clone(), host.worker_id()));
                }
                host.running().stop_all(StopReason::LeaseLost);
                match line.register(&registration).await {
                    Ok(worker) => *host.0.worker.lock().expect("no panic while held") = worker,
                    Err(error) => tracing::warn!(%error, "could not register again; trying on"),
                }
            }
            Err(error) => {
                tracing::warn!(%error, "could not renew the lease; trying on");
                // Beside the heartbeat, which has to end what runs in a history that was lost.
                tokio::spawn(recover(host.clone(), error));
            }
        }
    }
}
