//! Private arguments: the handler alone reads them, and nothing of them is left at the end.

mod ends;
mod handler;
mod hidden;
mod keys;
mod retries;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::sync::Semaphore;
use uuid::Uuid;
use weirgate_queue::job::RetryPolicy;
use weirgate_queue::private::Sealing;
use weirgate_queue::{Job, JobContext, JobError, Kinds, NewJob, Registry};
use weirgate_test_support::{Does, Step, TestDb, TestKeys, TestWorker};

/// What must be found nowhere.
const SECRET: &str = "marta.privata@example.org";

/// What the handler of a [`Letter`] does once it has read its private argument.
#[derive(Debug, Serialize, Deserialize)]
enum Act {
    Send,
    FailFirst,
    SnoozeFirst,
    DiscardFirst,
    /// Enqueues a letter with a private argument of its own.
    SendAnother,
    /// Sends it in a transaction of its own, together with its completion.
    SendInTransaction,
    /// Waits until it is let go.
    Wait,
    /// Waits until it is cancelled.
    WaitForCancel,
}

/// A letter whose recipient is private.
#[derive(Debug, Serialize, Deserialize)]
struct Letter {
    number: u8,
    act: Act,
}

struct Office {
    pool: PgPool,
    /// What each attempt has read.
    read: Mutex<Vec<String>>,
    gate: Semaphore,
}

impl Office {
    fn of(db: &TestDb) -> Arc<Self> {
        Arc::new(Self { pool: db.pool.clone(), read: Mutex::default(), gate: Semaphore::new(0) })
    }

    fn read(&self) -> Vec<String> {
        self.read.lock().clone()
    }

    fn kinds(self: &Arc<Self>) -> Arc<Registry> {
        Arc::new(Kinds::default().with::<Letter>().run_with(self.clone()))
    }

    /// A worker with this key, if any.
    fn worker(self: &Arc<Self>, db: &TestDb, keys: Option<Arc<TestKeys>>) -> TestWorker {
        TestWorker::start_jobs(db, self.kinds(), |config| {
            config.sealing = keys.map(|keys| keys as Arc<dyn Sealing>);
        })
    }
}

impl Job for Letter {
    const KIND: &'static str = "letter";
    const MAX_ATTEMPTS: u16 = 3;
    type App = Office;
    type Output = u8;

    fn retry() -> RetryPolicy {
        RetryPolicy { base: Duration::from_millis(50), ..RetryPolicy::default() }
    }

    async fn run(&self, ctx: &JobContext<Office>) -> Result<u8, JobError> {
        let office = &ctx.app;
        let recipient: String = ctx.private().await?;
        let is_first = {
            let mut read = office.read.lock();
            read.push(recipient.clone());
            read.iter().filter(|it| **it == recipient).count() == 1
        };
        match self.act {
            Act::FailFirst if is_first => return Err(anyhow::anyhow!("the post is closed").into()),
            Act::SnoozeFirst if is_first => return Err(JobError::snooze(Duration::from_millis(50))),
            Act::DiscardFirst if is_first => return Err(JobError::discard("refused", "no stamp")),
            Act::SendAnother => {
                let another = Self { number: self.number + 1, act: Act::Send };
                let another = NewJob::of(Uuid::nil(), &another)?;
                ctx.then(another.private(ctx.sealing()?, &format!("another of {recipient}"))?);
            }
            Act::SendInTransaction => {
                let tx = office.pool.begin().await?;
                ctx.finish_in(tx, &self.number).await?;
            }
            Act::Wait => office.gate.acquire().await?.forget(),
            Act::WaitForCancel => {
                ctx.cancelled().await;
                return Err(JobError::Cancelled);
            }
            Act::Send | Act::FailFirst | Act::SnoozeFirst | Act::DiscardFirst => {}
        }
        Ok(self.number)
    }
}

/// A letter to [`SECRET`], sealed with the key 1.
fn letter(act: Act) -> NewJob {
    let letter = NewJob::of(Uuid::nil(), &Letter { number: 1, act }).unwrap();
    letter.not_unique().private(&*TestKeys::new(1), SECRET).unwrap()
}

/// A step with a private argument, for tests that need no handler of it.
fn step(label: &str) -> NewJob {
    let step = NewJob::of(Uuid::nil(), &Step::new(label, Does::Succeed)).unwrap();
    step.private(&*TestKeys::new(1), &format!("{SECRET} {label}")).unwrap()
}

/// The jobs that have a private argument.
async fn holders(db: &TestDb) -> Vec<Uuid> {
    sqlx::query_scalar("select id from queue.jobs join queue.private_args using (seq) order by seq")
        .fetch_all(&db.pool)
        .await
        .unwrap()
}

/// How many private arguments are stored, of jobs that are there or not.
async fn stored(db: &TestDb) -> i64 {
    db.count("queue.private_args").await
}
