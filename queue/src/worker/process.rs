//! The state of one worker process, which its parts share.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rand::SeedableRng;
use rand::rngs::StdRng;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use uuid::Uuid;

use crate::claim::ClaimedJob;
use crate::claim::guard::{AcknowledgedClaims, ClaimGuard};
use crate::database::deadline::within;
use crate::error::Result;
use crate::finish::{Finish, Outcome};
use crate::job::JobError;
use crate::job::registry::Registry;
use crate::telemetry::meter::Meter;
use crate::telemetry::rollup::RollupWriter;
use crate::worker::WorkerConfig;
use crate::worker::completer::Ended;
use crate::worker::lease;
use crate::worker::running::{Running, StopReason};
use crate::worker::wakers::Wakers;

/// How many outcomes may wait for the completer before handlers wait with them.
const MAX_WAITING_OUTCOMES: usize = 10_000;

/// How long the last writes may take when the worker closes. For outcomes this is how long the
/// worker waits while none is written.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// How long upkeep may take to end what it is in the middle of.
const UPKEEP_DEADLINE: Duration = Duration::from_secs(1);

/// A handle on one worker process, which its parts share. Cheap to clone.
///
/// [`Worker::run`] is all that most programs need. A program that puts apalis workers of its own
/// together starts the process with [`Worker::start`], gives each apalis worker a
/// [`backend`](Worker::backend) and the [`runner`](Worker::runner), and ends with
/// [`drain`](Worker::drain) and [`close`](Worker::close).
#[derive(Clone)]
pub struct Worker(Arc<Inner>);

struct Inner {
    pool: PgPool,
    registry: Arc<Registry>,
    config: WorkerConfig,
    /// The id under which the process is registered now; another one after a lost lease.
    id: Mutex<Uuid>,
    running: Running,
    wakers: Wakers,
    rng: Mutex<StdRng>,
    outcomes: mpsc::Sender<Ended>,
    acknowledged: AcknowledgedClaims,
    /// How many groups of outcomes were written.
    written_groups: Arc<AtomicU64>,
    rollups: Arc<RollupWriter>,
    /// Cancelled when nothing more is claimed.
    draining: CancellationToken,
    /// Cancelled when somebody has asked this worker to drain, through the database.
    drain_requested: CancellationToken,
    /// Cancelled when everything ends.
    stopped: CancellationToken,
    upkeep: Mutex<Vec<JoinHandle<()>>>,
    completer: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl Worker {
    /// The state of a process that is registered as `id`, and the outcomes that its runs hand over.
    pub(super) fn new(
        pool: PgPool,
        registry: Arc<Registry>,
        config: WorkerConfig,
        id: Uuid,
    ) -> (Self, mpsc::Receiver<Ended>) {
        let (outcomes, handed_over) = mpsc::channel(MAX_WAITING_OUTCOMES);
        let inner = Inner {
            pool,
            rollups: Arc::new(RollupWriter::new(registry.meter().clone())),
            registry,
            id: Mutex::new(id),
            running: Running::default(),
            wakers: Wakers::default(),
            rng: Mutex::new(StdRng::seed_from_u64(config.seed)),
            outcomes,
            acknowledged: AcknowledgedClaims::default(),
            written_groups: Arc::default(),
            draining: CancellationToken::new(),
            drain_requested: CancellationToken::new(),
            stopped: CancellationToken::new(),
            upkeep: Mutex::default(),
            completer: Mutex::default(),
            config,
        };
        (Self(Arc::new(inner)), handed_over)
    }

    /// Sets the tasks for which [`close`](Self::close) waits.
    pub(super) fn set_tasks(
        &self,
        completer: JoinHandle<()>,
        upkeep: impl IntoIterator<Item = JoinHandle<()>>,
    ) {
        *self.0.completer.lock() = Some(completer);
        self.0.upkeep.lock().extend(upkeep);
    }

    /// What the completer does after each group of outcomes: jobs of lanes that were full may be
    /// claimed again.
    pub(super) fn on_group_written(&self) -> impl Fn() + Send + 'static {
        let wakers: Vec<_> =
            self.0.registry.queues().into_iter().map(|queue| self.wakers().for_queue(queue)).collect();
        let written_groups = self.0.written_groups.clone();
        move || {
            written_groups.fetch_add(1, Ordering::Relaxed);
            for waker in &wakers {
                waker.notify_one();
            }
        }
    }

    /// Claims nothing more from now on. Jobs that run may end.
    pub fn drain(&self) {
        self.0.draining.cancel();
    }

    /// Resolves when somebody has asked this worker to drain, through the database
    /// ([`drain`](crate::worker::drain)).
    pub async fn drain_requested(&self) {
        self.0.drain_requested.cancelled().await;
    }

    /// Stops the jobs that still run and hands them back, so that other workers start them at once.
    pub fn hand_back_running(&self) {
        self.0.running.stop_all(StopReason::ShuttingDown);
    }

    /// Writes the last outcomes, releases the lease and stops. Call it after the backends have
    /// closed.
    ///
    /// # Errors
    /// When the database does not answer within a few seconds. The lease then runs out by itself.
    pub async fn close(&self) -> Result<()> {
        self.drain();
        self.0.stopped.cancel();
        let upkeep = std::mem::take(&mut *self.0.upkeep.lock());
        let aborts: Vec<_> = upkeep.iter().map(JoinHandle::abort_handle).collect();
        let ended = tokio::time::timeout(UPKEEP_DEADLINE, async {
            for task in upkeep {
                let _ = task.await;
            }
        });
        let (_, all_written) = tokio::join!(ended, self.write_last_outcomes());
        // Upkeep that is still at work is in the middle of a transaction, which is rolled back.
        aborts.iter().for_each(AbortHandle::abort);
        // A database that has taken no outcome will hardly answer now.
        let limit = if all_written { CLOSE_DEADLINE } else { UPKEEP_DEADLINE };
        within(limit, async {
            if let Err(error) = self.0.rollups.run_once(&self.0.pool).await {
                tracing::warn!(%error, "the last seconds of this worker are missing in the charts");
            }
            lease::release(&self.0.pool, self.id()).await
        })
        .await
    }

    /// Waits until all outcomes are written, for as long as some are written within each
    /// [`CLOSE_DEADLINE`]. Returns whether all were.
    async fn write_last_outcomes(&self) -> bool {
        let completer = self.0.completer.lock().take();
        let Some(mut completer) = completer else { return true };
        loop {
            let before = self.0.written_groups.load(Ordering::Relaxed);
            if tokio::time::timeout(CLOSE_DEADLINE, &mut completer).await.is_ok() {
                return true;
            }
            if self.0.written_groups.load(Ordering::Relaxed) == before {
                completer.abort();
                tracing::error!("the last outcomes could not be written; their jobs will be rescued");
                return false;
            }
        }
    }

    /// Hands an outcome over to the completer. Waits while the completer is far behind, so that
    /// outcomes do not fill the memory while the database is away.
    pub(super) async fn finish(&self, finish: Finish, guard: ClaimGuard) {
        if matches!(finish.outcome, Outcome::AlreadyFinished) {
            guard.acknowledge();
        } else if self.0.outcomes.send(Ended { finish, guard }).await.is_err() {
            tracing::error!("an outcome came after the worker had closed; its job will be rescued");
        }
    }

    /// What an attempt that ended in `error` means for its job.
    pub(super) fn outcome_of_error(&self, job: &ClaimedJob, error: JobError) -> Outcome {
        let mut rng = self.0.rng.lock();
        self.0.registry.outcome_of_error(job, error, &mut *rng)
    }

    /// Takes note that somebody has asked this worker to drain.
    pub(super) fn request_drain(&self) {
        if !self.0.drain_requested.is_cancelled() {
            tracing::info!("asked to drain: running jobs may end");
            self.0.drain_requested.cancel();
        }
    }

    /// The id under which the process is registered now.
    pub(super) fn id(&self) -> Uuid {
        *self.0.id.lock()
    }

    /// Replaces the id, after a lost lease.
    pub(super) fn set_id(&self, id: Uuid) {
        *self.0.id.lock() = id;
    }

    pub(super) fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    pub(super) fn registry(&self) -> &Arc<Registry> {
        &self.0.registry
    }

    pub(super) fn config(&self) -> &WorkerConfig {
        &self.0.config
    }

    pub(super) fn running(&self) -> &Running {
        &self.0.running
    }

    pub(super) fn acknowledged(&self) -> &AcknowledgedClaims {
        &self.0.acknowledged
    }

    pub(super) fn meter(&self) -> &Meter {
        self.0.registry.meter()
    }

    pub(super) fn rollups(&self) -> &Arc<RollupWriter> {
        &self.0.rollups
    }

    pub(super) fn wakers(&self) -> &Wakers {
        &self.0.wakers
    }

    pub(super) fn is_draining(&self) -> bool {
        self.0.draining.is_cancelled()
    }

    /// Resolves when nothing more is claimed.
    pub(super) fn draining(&self) -> WaitForCancellationFuture<'_> {
        self.0.draining.cancelled()
    }

    /// Cancelled when everything ends.
    pub(super) fn stopped(&self) -> &CancellationToken {
        &self.0.stopped
    }
}
