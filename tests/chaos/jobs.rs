//! The jobs of the load. Each completes with one row in the ledger, or (plain ones) with one job
//! that has one.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;
use weirgate_queue::job::{RetryPolicy, RunId};
use weirgate_queue::{Job, JobContext, JobError, Kinds, NewJob, Registry};

use crate::load::SkewedClock;

/// What the jobs of one worker process share.
pub(crate) struct Site {
    pub(crate) pool: PgPool,
    /// Name of the worker process.
    pub(crate) worker: String,
    /// The clock of its host.
    pub(crate) clock: SkewedClock,
}

pub(crate) fn registry(site: Site) -> Arc<Registry> {
    Arc::new(Kinds::default().with::<Chore>().with::<Trouble>().with::<Bulky>().run_with(Arc::new(site)))
}

/// Failures are part of the load; what counts is that no job ends by them.
const ATTEMPTS: u16 = 1000;

fn impatient() -> RetryPolicy {
    RetryPolicy { base: Duration::from_millis(50), multiplier: 2.0, cap: Duration::from_millis(200) }
}

/// Ordinary work.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Chore {
    pub(crate) tenant: Uuid,
    /// The job that enqueued it with its completion.
    pub(crate) parent: Option<Uuid>,
    /// How long it takes.
    pub(crate) millis: u64,
    /// How many attempts fail at first.
    pub(crate) failures: i16,
    /// How many more follow, each enqueued with the completion of the one before.
    pub(crate) chain: u8,
    /// Writes nothing itself; its outcome is committed by the worker, in a group with others.
    pub(crate) plain: bool,
}

impl Chore {
    pub(crate) fn new(tenant: Uuid, millis: u64) -> Self {
        Self { tenant, parent: None, millis, failures: 0, chain: 0, plain: false }
    }

    fn next(&self, ctx: &JobContext<Site>) -> Result<Option<NewJob>, JobError> {
        let Some(chain) = self.chain.checked_sub(1) else { return Ok(None) };
        let next = Self { parent: Some(ctx.job_id()), chain, plain: false, ..self.clone() };
        let mut next = NewJob::of(self.tenant, &next)?.not_unique();
        next.id = ctx.app.clock.id();
        Ok(Some(next))
    }
}

impl Job for Chore {
    const KIND: &'static str = "chore";
    const MAX_ATTEMPTS: u16 = ATTEMPTS;
    type App = Site;
    type Output = String;

    fn retry() -> RetryPolicy {
        impatient()
    }

    fn timeout() -> Duration {
        Duration::from_secs(30)
    }

    async fn run(&self, ctx: &JobContext<Site>) -> Result<String, JobError> {
        if run_of(ctx).attempt.cast_signed() <= self.failures {
            return Err(JobError::failed("not_yet", anyhow::anyhow!("fails {} times", self.failures)));
        }
        tokio::time::sleep(Duration::from_millis(self.millis)).await;
        if let Some(next) = self.next(ctx)? {
            ctx.then(next);
        }
        let output = format!("by {}", ctx.app.worker);
        if !self.plain {
            finish_with_a_row(ctx, &output).await?;
        }
        Ok(output)
    }
}

/// What goes wrong in a handler's first attempt; the second writes its row.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ill {
    Panics,
    Hangs,
    /// Holds its thread, deaf to being stopped, for longer than the timeout.
    Blocks,
    /// Fills 500 MB, then panics.
    Hoards,
}

impl Ill {
    pub(crate) const ALL: [Self; 4] = [Self::Panics, Self::Hangs, Self::Blocks, Self::Hoards];
}

const HOARD: usize = 500_000_000;

/// A handler that misbehaves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Trouble {
    pub(crate) ill: Ill,
}

impl Job for Trouble {
    const KIND: &'static str = "trouble";
    const MAX_ATTEMPTS: u16 = ATTEMPTS;
    type App = Site;
    type Output = String;

    fn retry() -> RetryPolicy {
        impatient()
    }

    fn timeout() -> Duration {
        Duration::from_secs(1)
    }

    async fn run(&self, ctx: &JobContext<Site>) -> Result<String, JobError> {
        let output = format!("{:?}", self.ill);
        if run_of(ctx).attempt == 1 {
            match self.ill {
                Ill::Panics => panic!("a bug in the handler"),
                Ill::Hangs => std::future::pending().await,
                Ill::Blocks => std::thread::sleep(Self::timeout() + Duration::from_millis(200)),
                Ill::Hoards => {
                    let hoard = std::hint::black_box(vec![1_u8; HOARD]);
                    panic!("a bug in the handler that holds {} bytes", hoard.len());
                }
            }
        }
        finish_with_a_row(ctx, &output).await?;
        Ok(output)
    }
}

const BULK: usize = 10_000_000;

/// A handler that returns 10 MB: with its row or, if plain, through the worker's own finish.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Bulky {
    pub(crate) plain: bool,
}

impl Job for Bulky {
    const KIND: &'static str = "bulky";
    const MAX_ATTEMPTS: u16 = ATTEMPTS;
    type App = Site;
    type Output = String;

    fn retry() -> RetryPolicy {
        impatient()
    }

    async fn run(&self, ctx: &JobContext<Site>) -> Result<String, JobError> {
        let output = "x".repeat(BULK);
        if !self.plain {
            finish_with_a_row(ctx, &output).await?;
        }
        Ok(output)
    }
}

fn run_of(ctx: &JobContext<Site>) -> &RunId {
    ctx.run().expect("it is run by a worker")
}

async fn finish_with_a_row(ctx: &JobContext<Site>, output: &String) -> Result<(), JobError> {
    let run = run_of(ctx);
    let mut tx = ctx.app.pool.begin().await?;
    sqlx::query(
        "insert into ledger (job, run, attempt, lease, worker, at) values ($1, $2, $3, $4, $5, queue.now())",
    )
    .bind(run.job)
    .bind(run.run)
    .bind(run.attempt.cast_signed())
    .bind(run.worker)
    .bind(&ctx.app.worker)
    .execute(&mut *tx)
    .await?;
    ctx.finish_in(tx, output).await
}
