//! apalis-postgres: batches of 500 and its listener.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use apalis::prelude::*;
use apalis_postgres::{Config, PgTask, PostgresStorage, queries};
use futures_util::FutureExt;
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::peer::{Answer, Peer, Producer};
use crate::work::Work;

const QUEUE: &str = "bench";
const BATCH: usize = 500;
const POLL: Duration = Duration::from_millis(100);
const CONNECTIONS: u32 = 10;

pub(crate) struct Apalis;

impl Peer for Apalis {
    fn name(&self) -> &'static str {
        "apalis-postgres"
    }

    fn settings(&self) -> Value {
        json!({
            "batch_size": BATCH,
            "concurrency": BATCH,
            "lock_tasks": false,
            "pubsub": true,
            "poll_ms": POLL.as_millis(),
            "connections": CONNECTIONS,
        })
    }

    fn migrate<'a>(&'a self, url: &'a str) -> Answer<'a, ()> {
        async move {
            let pool = pool(url, 1).await?;
            PostgresStorage::setup(&pool).await?;
            pool.close().await;
            Ok(())
        }
        .boxed()
    }

    fn producer<'a>(&'a self, url: &'a str, connections: u32) -> Answer<'a, Arc<dyn Producer>> {
        async move { Ok(Arc::new(Pushing(pool(url, connections).await?)) as Arc<dyn Producer>) }.boxed()
    }

    fn work<'a>(&'a self, url: &'a str) -> Answer<'a, ()> {
        async move {
            let pool = pool(url, CONNECTIONS).await?;
            let config = Config::default().queue(QUEUE).batch_size(BATCH).lock_tasks(false);
            let backend =
                PostgresStorage::new(&pool).with_config(config).with_pubsub().poll_with_interval(POLL);
            WorkerBuilder::new(format!("bench-{}", std::process::id()))
                .backend(backend)
                .concurrency(BATCH)
                .build(handle)
                .run()
                .await
                .context("apalis' worker")
        }
        .boxed()
    }

    fn unfinished(&self) -> &'static str {
        "select count(*) from apalis.jobs where status in ('Pending', 'Queued', 'Running')"
    }

    fn past(&self) -> Option<&'static str> {
        Some(
            "insert into apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority, metadata, done_at)
             select 'past-' || n, 'bench', '{\"takes_ms\":0}', 'Done', 1, 25, now(), 0, '', now()
             from generate_series(1, $1) as n",
        )
    }
}

async fn handle(work: Work) -> Result<(), BoxDynError> {
    work.run().await;
    Ok(())
}

async fn pool(url: &str, connections: u32) -> anyhow::Result<PgPool> {
    PgPoolOptions::new().max_connections(connections).connect(url).await.context("connecting")
}

struct Pushing(PgPool);

impl Pushing {
    async fn push(&self, jobs: &[Work]) -> anyhow::Result<()> {
        let tasks = jobs.iter().map(task).collect::<Result<_, _>>()?;
        let mut conn = self.0.acquire().await?;
        queries::push_tasks(&mut *conn, QUEUE, tasks).await?;
        Ok(())
    }
}

fn task(work: &Work) -> serde_json::Result<PgTask> {
    Ok(TaskBuilder::new(serde_json::to_vec(work)?).build())
}

impl Producer for Pushing {
    fn one(&self, job: Work) -> Answer<'_, ()> {
        async move { self.push(&[job]).await }.boxed()
    }

    fn many(&self, jobs: Vec<Work>) -> Answer<'_, ()> {
        async move { self.push(&jobs).await }.boxed()
    }
}
