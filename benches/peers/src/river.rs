//! riverqueue: many workers, and a fetch as soon as there is something.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::FutureExt;
use riverqueue::migrate::PostgresMigrator;
use riverqueue::{BoxError, Client, Job, JobArgs, QueueConfig, WorkContext, WorkOutcome, Workers};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::peer::{Answer, Peer, Producer};
use crate::work::Work;

const WORKERS: usize = 2000;
const COOLDOWN: Duration = Duration::from_millis(1);
const POLL: Duration = Duration::from_millis(100);
const CONNECTIONS: u32 = 10;

pub(crate) struct River;

impl Peer for River {
    fn name(&self) -> &'static str {
        "riverqueue"
    }

    fn settings(&self) -> Value {
        json!({
            "max_workers": WORKERS,
            "fetch_cooldown_ms": COOLDOWN.as_millis(),
            "fetch_poll_interval_ms": POLL.as_millis(),
            "connections": CONNECTIONS,
        })
    }

    fn migrate<'a>(&'a self, url: &'a str) -> Answer<'a, ()> {
        async move {
            let pool = pool(url, 2).await?;
            PostgresMigrator::new(pool.clone()).migrate_up().await?;
            pool.close().await;
            Ok(())
        }
        .boxed()
    }

    fn producer<'a>(&'a self, url: &'a str, connections: u32) -> Answer<'a, Arc<dyn Producer>> {
        async move {
            let pool = pool(url, connections).await?;
            // Else it would leave out most notifications.
            let client = Client::builder(pool).fetch_cooldown(COOLDOWN).build()?;
            Ok(Arc::new(Inserting(client)) as Arc<dyn Producer>)
        }
        .boxed()
    }

    fn work<'a>(&'a self, url: &'a str) -> Answer<'a, ()> {
        async move {
            let mut workers = Workers::new();
            workers.add_fn(handle)?;
            let client = Client::builder(pool(url, CONNECTIONS).await?)
                .workers(workers)
                .fetch_cooldown(COOLDOWN)
                .queue("default", QueueConfig::new(WORKERS).with_fetch_poll_interval(POLL))
                .build()?;
            client.start()?.wait().await.context("river's client")
        }
        .boxed()
    }

    fn unfinished(&self) -> &'static str {
        "select count(*) from river_job where state in ('available', 'running', 'retryable')"
    }

    fn past(&self) -> Option<&'static str> {
        Some(
            "insert into river_job (state, attempt, max_attempts, attempted_at, attempted_by, finalized_at, args, kind)
             select 'completed', 1, 25, now(), array['past'], now(), '{\"takes_ms\": 0}', 'bench'
             from generate_series(1, $1)",
        )
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
struct Bench(Work);

impl JobArgs for Bench {
    const KIND: &'static str = "bench";
}

async fn handle(_: WorkContext, job: Job<Bench>) -> Result<WorkOutcome, BoxError> {
    job.args.0.run().await;
    Ok(WorkOutcome::Complete)
}

async fn pool(url: &str, connections: u32) -> anyhow::Result<PgPool> {
    PgPoolOptions::new().max_connections(connections).connect(url).await.context("connecting")
}

struct Inserting(Client);

impl Producer for Inserting {
    fn one(&self, job: Work) -> Answer<'_, ()> {
        async move {
            self.0.insert(Bench(job)).await?;
            Ok(())
        }
        .boxed()
    }

    fn many(&self, jobs: Vec<Work>) -> Answer<'_, ()> {
        async move {
            self.0.insert_many(jobs.into_iter().map(Bench)).await?;
            Ok(())
        }
        .boxed()
    }
}
