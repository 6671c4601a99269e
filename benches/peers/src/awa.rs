//! awa: queue storage, compact claims (no deadline), COPY.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use awa::model::{InsertParams, migrations};
use awa::{
    Client, InsertOpts, JobArgs, JobContext, JobResult, QueueConfig, QueueStorage, QueueStorageConfig,
    insert_with,
};
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx_08::PgPool;
use sqlx_08::postgres::PgPoolOptions;
use tokio::runtime::Handle;

use crate::peer::{Answer, Peer, Producer};
use crate::work::Work;

const QUEUE: &str = "bench";
const WORKERS: u32 = 2048;
const POLL: Duration = Duration::from_millis(50);
const CONNECTIONS: u32 = 20;

pub(crate) struct Awa;

impl Peer for Awa {
    fn name(&self) -> &'static str {
        "awa"
    }

    fn settings(&self) -> Value {
        json!({
            "storage": "queue_storage",
            "max_workers": WORKERS,
            "deadline": "none",
            "poll_interval_ms": POLL.as_millis(),
            "bulk": "enqueue_params_copy",
            "connections": CONNECTIONS,
        })
    }

    fn migrate<'a>(&'a self, url: &'a str) -> Answer<'a, ()> {
        let url = url.to_owned();
        async move {
            // Its migrations cannot change threads: the future is not `Send`.
            let migrating = tokio::task::spawn_blocking(move || Handle::current().block_on(migrate(&url)));
            migrating.await.context("awa's migrations panicked")?
        }
        .boxed()
    }

    fn producer<'a>(&'a self, url: &'a str, connections: u32) -> Answer<'a, Arc<dyn Producer>> {
        async move {
            let inserting = Inserting { pool: pool(url, connections).await?, storage: storage()? };
            Ok(Arc::new(inserting) as Arc<dyn Producer>)
        }
        .boxed()
    }

    fn work<'a>(&'a self, url: &'a str) -> Answer<'a, ()> {
        async move {
            let queue = QueueConfig {
                max_workers: WORKERS,
                poll_interval: POLL,
                deadline_duration: Duration::ZERO,
                ..QueueConfig::default()
            };
            let client = Client::builder(pool(url, CONNECTIONS).await?)
                .queue(QUEUE, queue)
                .register::<Bench, _, _>(|job: Bench, _: &JobContext| async move {
                    job.0.run().await;
                    Ok(JobResult::Completed)
                })
                .build()?;
            client.start().await?;
            std::future::pending().await
        }
        .boxed()
    }

    fn unfinished(&self) -> &'static str {
        "select (select count(*) from awa.ready_entries)
             - coalesce((select sum(completed_count) from awa.receipt_completion_batches), 0)::int8
             - (select count(*) from awa.done_entries)"
    }

    fn past(&self) -> Option<&'static str> {
        None
    }
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Bench(Work);

impl JobArgs for Bench {
    fn kind() -> &'static str {
        "bench"
    }
}

async fn migrate(url: &str) -> anyhow::Result<()> {
    let pool = pool(url, 2).await?;
    migrations::run(&pool).await?;
    storage()?.install(&pool).await?;
    pool.close().await;
    Ok(())
}

fn storage() -> anyhow::Result<QueueStorage> {
    Ok(QueueStorage::new(QueueStorageConfig::default())?)
}

async fn pool(url: &str, connections: u32) -> anyhow::Result<PgPool> {
    PgPoolOptions::new().max_connections(connections).connect(url).await.context("connecting")
}

fn opts() -> InsertOpts {
    InsertOpts { queue: QUEUE.to_owned(), ..InsertOpts::default() }
}

struct Inserting {
    pool: PgPool,
    storage: QueueStorage,
}

impl Producer for Inserting {
    fn one(&self, job: Work) -> Answer<'_, ()> {
        async move {
            insert_with(&self.pool, &Bench(job), opts()).await?;
            Ok(())
        }
        .boxed()
    }

    fn many(&self, jobs: Vec<Work>) -> Answer<'_, ()> {
        async move {
            let params = |job| -> anyhow::Result<_> {
                let args = Bench(job).to_args()?;
                Ok(InsertParams { kind: Bench::kind().to_owned(), args, opts: opts() })
            };
            let params = jobs.into_iter().map(params).collect::<Result<Vec<_>, _>>()?;
            self.storage.enqueue_params_copy(&self.pool, &params).await?;
            Ok(())
        }
        .boxed()
    }
}
