//! A worker in forty lines: a kind of job, three jobs, and a process that runs them.
//!
//! `scripts/with-postgres cargo run -p weirgate-queue --example worker`

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use weirgate_queue::{
    Job, JobContext, JobError, Kinds, MIGRATOR, NewJob, Worker, WorkerConfig, connect_options, enqueue,
};

#[derive(Serialize, Deserialize)]
struct Greet {
    name: String,
}

impl Job for Greet {
    const KIND: &'static str = "greet";
    type App = UnboundedSender<String>;
    type Output = ();

    async fn run(&self, ctx: &JobContext<Self::App>) -> Result<(), JobError> {
        Ok(ctx.app.send(format!("Hello, {}!", self.name))?)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = connect_options(std::env::var("DATABASE_URL")?.parse()?);
    let pool = PgPoolOptions::new().connect_with(options).await?;
    MIGRATOR.run(&pool).await?;

    let tenant = Uuid::now_v7();
    let names = ["Ada", "Grace", "Edsger"];
    let jobs = names.map(|name| NewJob::of(tenant, &Greet { name: name.to_owned() }));
    let mut tx = pool.begin().await?;
    enqueue(&mut tx, jobs.into_iter().collect::<Result<_, _>>()?).await?;
    tx.commit().await?;

    let (app, mut greetings) = unbounded_channel();
    let registry = Arc::new(Kinds::default().with::<Greet>().run_with(Arc::new(app)));
    let shutdown = CancellationToken::new();
    let config = WorkerConfig::new("example", "0", 1);
    let worker = tokio::spawn(Worker::run(pool, registry, config, shutdown.clone()));
    for _ in names {
        println!("{}", greetings.recv().await.expect("the worker holds the sender"));
    }
    shutdown.cancel();
    Ok(worker.await??)
}
