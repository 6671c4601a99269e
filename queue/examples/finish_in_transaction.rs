//! Exactly once: a handler's writes and the completion of its job are committed together.
//!
//! The first attempt dies after it has written, and its row is rolled back with it. The second
//! attempt succeeds, so one row is left.
//!
//! `scripts/with-postgres cargo run -p weirgate-queue --example finish_in_transaction`

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use weirgate_queue::job::RetryPolicy;
use weirgate_queue::{
    Job, JobContext, JobError, JobState, Kinds, MIGRATOR, NewJob, Worker, WorkerConfig, connect_options,
    enqueue, read,
};

/// Pays an amount out.
#[derive(Serialize, Deserialize)]
struct PayOut {
    cents: i64,
}

impl Job for PayOut {
    const KIND: &'static str = "pay_out";
    type App = PgPool;
    type Output = i64;

    fn retry() -> RetryPolicy {
        RetryPolicy { base: Duration::from_millis(100), ..RetryPolicy::default() }
    }

    async fn run(&self, ctx: &JobContext<PgPool>) -> Result<i64, JobError> {
        let mut tx = ctx.app.begin().await?;
        sqlx::query("insert into payouts values ($1)").bind(self.cents).execute(&mut *tx).await?;
        if ctx.run().is_some_and(|run| run.attempt == 1) {
            println!("the first attempt has written and fails now");
            return Err(JobError::failed("unlucky", anyhow::anyhow!("the first attempt always fails")));
        }
        ctx.finish_in(tx, &self.cents).await?;
        Ok(self.cents)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = connect_options(std::env::var("DATABASE_URL")?.parse()?);
    let pool = PgPoolOptions::new().connect_with(options).await?;
    MIGRATOR.run(&pool).await?;
    sqlx::query("create table if not exists payouts (cents bigint not null)").execute(&pool).await?;

    let mut tx = pool.begin().await?;
    let job = NewJob::of(Uuid::now_v7(), &PayOut { cents: 1999 })?;
    let id = job.id;
    enqueue(&mut tx, vec![job]).await?;
    tx.commit().await?;

    let registry = Arc::new(Kinds::default().with::<PayOut>().run_with(Arc::new(pool.clone())));
    let shutdown = CancellationToken::new();
    let config = WorkerConfig::new("example", "0", 1);
    let worker = tokio::spawn(Worker::run(pool.clone(), registry, config, shutdown.clone()));
    loop {
        let job = read::get(&mut *pool.acquire().await?, id).await?.expect("it was enqueued");
        if job.state() == JobState::Completed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let rows: i64 = sqlx::query_scalar("select count(*) from payouts").fetch_one(&pool).await?;
    println!("after the second attempt there is {rows} payout");
    shutdown.cancel();
    Ok(worker.await??)
}
