//! `graphile_worker`: its local queue and batched completion.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::FutureExt;
use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, RawJobSpec, TaskHandler, WorkerContext, WorkerOptions,
    WorkerUtils,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::peer::{Answer, Peer, Producer};
use crate::work::Work;

const SCHEMA: &str = "graphile_worker";
const CONCURRENCY: usize = 500;
const QUEUES: usize = 2;
const QUEUE_SIZE: usize = 1000;
const COMPLETION_DELAY: Duration = Duration::from_millis(5);
const CONNECTIONS: u32 = 10;

pub(crate) struct Graphile;

impl Peer for Graphile {
    fn name(&self) -> &'static str {
        "graphile_worker"
    }

    fn settings(&self) -> Value {
        json!({
            "concurrency": CONCURRENCY,
            "local_queues": QUEUES,
            "local_queue_size": QUEUE_SIZE,
            "complete_job_batch_delay_ms": COMPLETION_DELAY.as_millis(),
            "connections": CONNECTIONS,
        })
    }

    fn migrate<'a>(&'a self, url: &'a str) -> Answer<'a, ()> {
        async move {
            let pool = pool(url, 1).await?;
            WorkerUtils::new(pool.clone(), SCHEMA).migrate().await?;
            pool.close().await;
            Ok(())
        }
        .boxed()
    }

    fn producer<'a>(&'a self, url: &'a str, connections: u32) -> Answer<'a, Arc<dyn Producer>> {
        async move {
            let utils = WorkerUtils::new(pool(url, connections).await?, SCHEMA);
            Ok(Arc::new(Adding(utils)) as Arc<dyn Producer>)
        }
        .boxed()
    }

    fn work<'a>(&'a self, url: &'a str) -> Answer<'a, ()> {
        async move {
            let queue = LocalQueueConfig::default().with_size(QUEUE_SIZE).with_queue_count(QUEUES);
            let worker = Box::pin(
                WorkerOptions::default()
                    .schema(SCHEMA)
                    .concurrency(CONCURRENCY)
                    .local_queue(queue)
                    .complete_job_batch_delay(COMPLETION_DELAY)
                    .define_job::<Bench>()
                    .pg_pool(pool(url, CONNECTIONS).await?)
                    .init(),
            )
            .await?;
            worker.run().await.context("graphile_worker's worker")
        }
        .boxed()
    }

    fn unfinished(&self) -> &'static str {
        "select count(*) from graphile_worker._private_jobs"
    }

    fn past(&self) -> Option<&'static str> {
        None
    }
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Bench(Work);

impl TaskHandler for Bench {
    const IDENTIFIER: &'static str = "bench";

    async fn run(self, _: WorkerContext) -> impl IntoTaskHandlerResult {
        self.0.run().await;
        Ok::<(), String>(())
    }
}

async fn pool(url: &str, connections: u32) -> anyhow::Result<PgPool> {
    PgPoolOptions::new().max_connections(connections).connect(url).await.context("connecting")
}

struct Adding(WorkerUtils);

impl Producer for Adding {
    fn one(&self, job: Work) -> Answer<'_, ()> {
        async move {
            self.0.add_job(Bench(job), JobSpec::default()).await?;
            Ok(())
        }
        .boxed()
    }

    fn many(&self, jobs: Vec<Work>) -> Answer<'_, ()> {
        async move {
            let raw = |job: &Work| -> serde_json::Result<_> {
                let payload = serde_json::to_value(job)?;
                Ok(RawJobSpec { identifier: Bench::IDENTIFIER.to_owned(), payload, spec: JobSpec::default() })
            };
            let jobs = jobs.iter().map(raw).collect::<Result<Vec<_>, _>>()?;
            self.0.add_raw_jobs(&jobs).await?;
            Ok(())
        }
        .boxed()
    }
}
