//! A workflow: two jobs that may run at the same time, and a third that waits for both and reads
//! their outputs.
//!
//! `scripts/with-postgres cargo run -p weirgate-queue --example workflow`

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use weirgate_queue::{
    Job, JobContext, JobError, Kinds, MIGRATOR, NewJob, Worker, WorkerConfig, Workflow, connect_options,
};

/// Counts the words of a text.
#[derive(Serialize, Deserialize)]
struct CountWords {
    text: String,
}

impl Job for CountWords {
    const KIND: &'static str = "count_words";
    type App = UnboundedSender<usize>;
    type Output = usize;

    async fn run(&self, _: &JobContext<Self::App>) -> Result<usize, JobError> {
        Ok(self.text.split_whitespace().count())
    }
}

/// Adds up the outputs of the jobs that it waited for.
#[derive(Serialize, Deserialize)]
struct AddUp {}

impl Job for AddUp {
    const KIND: &'static str = "add_up";
    type App = UnboundedSender<usize>;
    type Output = usize;

    async fn run(&self, ctx: &JobContext<Self::App>) -> Result<usize, JobError> {
        let mut sum = 0;
        for parent in ctx.parents().await? {
            sum += parent.output_as::<usize>()?.unwrap_or_default();
        }
        ctx.app.send(sum)?;
        Ok(sum)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = connect_options(std::env::var("DATABASE_URL")?.parse()?);
    let pool = PgPoolOptions::new().connect_with(options).await?;
    MIGRATOR.run(&pool).await?;

    let tenant = Uuid::now_v7();
    let count = |text: &str| NewJob::of(tenant, &CountWords { text: text.to_owned() });
    let mut workflow = Workflow::named("word count");
    workflow.add("first", count("so much depends upon")?);
    workflow.add("second", count("a red wheel barrow")?);
    workflow.add("sum", NewJob::of(tenant, &AddUp {})?).after("first").after("second");
    let mut tx = pool.begin().await?;
    workflow.enqueue(&mut tx).await?;
    tx.commit().await?;

    let (app, mut sums) = unbounded_channel();
    let registry = Arc::new(Kinds::default().with::<CountWords>().with::<AddUp>().run_with(Arc::new(app)));
    let shutdown = CancellationToken::new();
    let config = WorkerConfig::new("example", "0", 1);
    let worker = tokio::spawn(Worker::run(pool, registry, config, shutdown.clone()));
    println!("{} words", sums.recv().await.expect("the worker holds the sender"));
    shutdown.cancel();
    Ok(worker.await??)
}
