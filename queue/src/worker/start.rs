//! The start of a worker process: it registers, and starts what runs beside its jobs.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::database::history;
use crate::error::Result;
use crate::job::registry::Registry;
use crate::maintenance::leader::Leader;
use crate::maintenance::scheduler::Scheduler;
use crate::maintenance::{self, Maintenance};
use crate::worker::completer::{Completer, Ended};
use crate::worker::lease::{LeaseConnection, Registration};
use crate::worker::listener::Listener;
use crate::worker::{Worker, WorkerConfig, heartbeat};

/// How often a worker tries to register before it gives up.
const MAX_REGISTRATIONS: u32 = 5;

/// The pause between two tries to register.
const REGISTRATION_INTERVAL: Duration = Duration::from_secs(1);

/// How long the lease's connection may take to answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// The longest lease of the leader, which is half of a worker's lease where that is shorter. So
/// another worker leads, and rescues, by the time the lease of a worker that died as the leader
/// ends.
const MAX_LEADER_LEASE: Duration = Duration::from_secs(8);

impl Worker {
    /// Registers the process for the queues of `registry` and starts what runs beside its jobs: the
    /// heartbeat, the listener, the completer, and the maintenance services. A database that is
    /// away at just this moment is tried several times, unless `shutdown` is cancelled meanwhile.
    ///
    /// # Errors
    /// When the process cannot be registered.
    pub async fn start(
        pool: PgPool,
        registry: Arc<Registry>,
        config: WorkerConfig,
        shutdown: &CancellationToken,
    ) -> Result<Self> {
        for _ in 1..MAX_REGISTRATIONS {
            match Self::try_start(pool.clone(), registry.clone(), config.clone()).await {
                Err(error) if !shutdown.is_cancelled() => {
                    tracing::warn!(%error, "could not register the worker; trying again");
                    tokio::time::sleep(REGISTRATION_INTERVAL).await;
                }
                started => return started,
            }
        }
        Self::try_start(pool, registry, config).await
    }

    /// Boxed, so that this crate compiles all that is started here, and not each program that starts
    /// a worker.
    fn try_start(
        pool: PgPool,
        registry: Arc<Registry>,
        config: WorkerConfig,
    ) -> BoxFuture<'static, Result<Self>> {
        Box::pin(Self::register(pool, registry, config))
    }

    async fn register(pool: PgPool, registry: Arc<Registry>, config: WorkerConfig) -> Result<Self> {
        let registration = Registration {
            host: config.host.clone(),
            version: config.version.clone(),
            queues: registry.queues().into_iter().map(str::to_owned).collect(),
            concurrency: config.concurrency.clone(),
            lease: config.lease,
        };
        history::compare(&pool).await?;
        // An answer that takes longer than a third of the lease leaves no time to ask again before
        // the lease ends. The connection is open from now on: where a process has used up its
        // files, a new one could not be opened.
        let mut connection = LeaseConnection::new(&pool, ANSWER_DEADLINE.min(config.lease / 3));
        let id = connection.register(&registration).await?;
        let (worker, handed_over) = Self::new(pool, registry, config, id);
        let upkeep = [
            worker.spawn_listener(),
            tokio::spawn(heartbeat::run(worker.clone(), registration, connection)),
            tokio::spawn(maintenance::run(worker.maintenance(), worker.stopped().clone())),
        ];
        worker.set_tasks(worker.spawn_completer(handed_over), upkeep);
        Ok(worker)
    }

    fn spawn_completer(&self, handed_over: mpsc::Receiver<Ended>) -> JoinHandle<()> {
        let completer = Completer {
            pool: self.pool().clone(),
            acknowledged: self.acknowledged().clone(),
            meter: self.meter().clone(),
            lease_waker: self.wakers().for_lease(),
            stop: self.stopped().clone(),
        };
        tokio::spawn(completer.run(handed_over, self.on_group_written()))
    }

    fn spawn_listener(&self) -> JoinHandle<()> {
        let listener = Listener {
            pool: self.pool().clone(),
            wakers: self.wakers().clone(),
            running: self.running().clone(),
            meter: self.meter().clone(),
        };
        tokio::spawn(listener.run(self.stopped().clone()))
    }

    fn maintenance(&self) -> Maintenance {
        let (pool, config) = (self.pool(), self.config());
        let lease = MAX_LEADER_LEASE.min(config.lease / 2);
        Maintenance {
            pool: pool.clone(),
            leader: Leader::new(pool.clone(), &config.host, lease),
            scheduler: Scheduler::new(config.schedules.clone()),
            retention: config.retention,
            slices: self.registry().slices(),
            wakers: self.wakers().clone(),
            meter: self.meter().clone(),
            rollups: self.rollups().clone(),
            seed: config.seed,
        }
    }
}
