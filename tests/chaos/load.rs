//! A steady load, and the ledger of what was promised to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::{NoContext, Timestamp, Uuid};
use weirgate_queue::{NewJob, OnFailure, enqueue};

use crate::jobs::Chore;

/// Producers wait while this many jobs are on their way.
const BACKLOG: i64 = 400;

/// How long a producer waits for an answer, as the API does.
const PATIENCE: Duration = Duration::from_secs(5);

/// The clock of a host that is wrong by so many seconds. Ids are all that the engine makes of a
/// host's clock.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct SkewedClock {
    pub(crate) ahead_s: i64,
}

impl SkewedClock {
    /// A v7 UUID of that host's present.
    #[expect(clippy::disallowed_methods, reason = "the host's clock, to be wrong on purpose")]
    pub(crate) fn id(self) -> Uuid {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let seconds = now.as_secs().saturating_add_signed(self.ahead_s);
        Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.subsec_nanos()))
    }
}

/// What producers were told.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Jobs whose commit was acknowledged.
    pub(crate) accepted: Vec<Uuid>,
    /// Transactions whose commit got no answer: all of it is there, or nothing.
    pub(crate) unknown: Vec<Vec<Uuid>>,
    /// Jobs of transactions that failed before their commit: none is there.
    pub(crate) refused: Vec<Uuid>,
}

pub(crate) type SharedLedger = Arc<Mutex<Ledger>>;

/// Enqueues in one transaction and writes down what came of it.
pub(crate) async fn produce(pool: &PgPool, ledger: &SharedLedger, jobs: Vec<NewJob>) {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.id).collect();
    let before_commit = async {
        let mut tx = pool.begin().await?;
        enqueue(&mut tx, jobs).await?;
        anyhow::Ok(tx)
    };
    let Ok(Ok(tx)) = timeout(PATIENCE, before_commit).await else {
        ledger.lock().refused.extend(ids);
        return;
    };
    match timeout(PATIENCE, tx.commit()).await {
        Ok(Ok(())) => ledger.lock().accepted.extend(ids),
        _ => ledger.lock().unknown.push(ids),
    }
}

/// Producers at work until stopped.
pub(crate) struct Load {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    /// One producer for each clock. `producers` may lose its connections, `direct` does not.
    pub(crate) fn start(
        producers: &PgPool,
        direct: &PgPool,
        ledger: &SharedLedger,
        tenants: &[Uuid],
        clocks: &[SkewedClock],
        rng: &mut StdRng,
    ) -> Self {
        let stop = CancellationToken::new();
        let backlog = Arc::new(AtomicI64::new(0));
        let mut tasks = vec![tokio::spawn(watch(direct.clone(), backlog.clone(), stop.clone()))];
        for clock in clocks {
            let mix =
                Mix { tenants: tenants.to_vec(), clock: *clock, rng: StdRng::seed_from_u64(rng.random()) };
            tasks.push(tokio::spawn(keep_producing(
                producers.clone(),
                ledger.clone(),
                mix,
                backlog.clone(),
                stop.clone(),
            )));
        }
        Self { stop, tasks }
    }

    /// Returns when every enqueue has been answered or given up.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

async fn watch(pool: PgPool, backlog: Arc<AtomicI64>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let count = sqlx::query_scalar(
            "select count(*) from queue.jobs where state in ('waiting', 'available', 'running', 'retryable')",
        )
        .fetch_one(&pool)
        .await;
        // Postgres may be restarting.
        backlog.store(count.unwrap_or(0), Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn keep_producing(
    pool: PgPool,
    ledger: SharedLedger,
    mut mix: Mix,
    backlog: Arc<AtomicI64>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        if backlog.load(Ordering::Relaxed) < BACKLOG {
            produce(&pool, &ledger, mix.draw()).await;
        }
        tokio::time::sleep(Duration::from_millis(mix.rng.random_range(5..30))).await;
    }
}

/// Draws what a transaction enqueues.
struct Mix {
    tenants: Vec<Uuid>,
    clock: SkewedClock,
    rng: StdRng,
}

impl Mix {
    fn draw(&mut self) -> Vec<NewJob> {
        let tenant = self.tenants[self.rng.random_range(0..self.tenants.len())];
        if self.rng.random_ratio(1, 10) {
            return self.workflow(tenant);
        }
        (0..self.rng.random_range(1..12)).map(|_| self.single(tenant)).collect()
    }

    fn single(&mut self, tenant: Uuid) -> NewJob {
        let quick = self.rng.random_range(0..30);
        let mut chore = Chore::new(tenant, quick);
        let mut delay = Duration::ZERO;
        match self.rng.random_range(0..100) {
            0..20 => (chore.plain, chore.chain) = (true, 1),
            20..35 => chore.chain = self.rng.random_range(1..4),
            35..45 => chore.failures = self.rng.random_range(1..3),
            45..50 => chore.millis = self.rng.random_range(100..300),
            50..54 => delay = Duration::from_millis(self.rng.random_range(100..1500)),
            // Still due when the test ends.
            54..56 => delay = Duration::from_hours(24),
            _ => {}
        }
        self.job(&chore).delay(delay)
    }

    /// One job, some that wait on it, one that waits on those.
    fn workflow(&mut self, tenant: Uuid) -> Vec<NewJob> {
        let workflow = self.clock.id();
        let mut jobs = vec![self.job(&Chore::new(tenant, 5)).workflow(workflow)];
        let first = jobs[0].id;
        let mut last = self.job(&Chore::new(tenant, 5)).workflow(workflow);
        for _ in 0..self.rng.random_range(2..9) {
            let chore = Chore { plain: false, ..Chore::new(tenant, self.rng.random_range(0..20)) };
            let middle = self.job(&chore).workflow(workflow).after(first, OnFailure::Cancel);
            last = last.after(middle.id, OnFailure::Cancel);
            jobs.push(middle);
        }
        jobs.push(last);
        jobs
    }

    fn job(&mut self, chore: &Chore) -> NewJob {
        let mut job = new_job(chore, self.clock);
        job = job.priority(self.rng.random_range(-2..3));
        job
    }
}

/// Any number of the same, with an id by that clock.
pub(crate) fn new_job(chore: &Chore, clock: SkewedClock) -> NewJob {
    let mut job = NewJob::of(chore.tenant, chore).unwrap().not_unique();
    job.id = clock.id();
    job
}

/// Ids of tenants.
pub(crate) fn tenants(count: usize, rng: &mut impl Rng) -> Vec<Uuid> {
    (0..count).map(|_| Uuid::from_u128(rng.random())).collect()
}
