//! A backfill: a thousand slices as one object, whose jobs are made piece by piece.
//!
//! `scripts/with-postgres cargo run -p weirgate-queue --example backfill`

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgConnection;
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use weirgate_queue::backfill::{
    self, BackfillSettings, Expansion, NewBackfill, Slice, SliceQuery, Slices, TenantScope,
};
use weirgate_queue::{
    Job, JobContext, JobError, Kinds, MIGRATOR, NewJob, Worker, WorkerConfig, connect_options,
};

/// The number of slices.
const TOTAL: u64 = 1000;

/// The tenant that all slices belong to.
const TENANT: Uuid = Uuid::from_u128(1);

/// Squares the number of a slice.
#[derive(Serialize, Deserialize)]
struct Square {
    number: u64,
}

impl Job for Square {
    const KIND: &'static str = "square";
    type App = ();
    type Output = u64;

    async fn run(&self, _: &JobContext<()>) -> Result<u64, JobError> {
        Ok(self.number * self.number)
    }
}

/// What the slices of our backfills are: one job each, all of one tenant.
struct Squares;

impl Slices for Squares {
    fn knows(&self, kind: &str) -> bool {
        kind == "squares"
    }

    fn expand<'a>(
        &'a self,
        _: &'a mut PgConnection,
        _: &'a str,
        _: &'a Value,
        query: SliceQuery<'a>,
    ) -> BoxFuture<'a, weirgate_queue::Result<Expansion>> {
        async move {
            let is_asked_for = match query.tenants {
                TenantScope::AllExcept(tenants) => !tenants.contains(&TENANT),
                TenantScope::Only(tenant) => tenant == TENANT,
            };
            if !is_asked_for {
                return Ok(Expansion { next: query.range.end, slices: Vec::new() });
            }
            let mut slices = Vec::new();
            for number in query.range.take(query.limit) {
                slices.push(Slice::one(number, NewJob::of(TENANT, &Square { number })?));
            }
            let next = slices.last().map_or(TOTAL, |slice| slice.number + 1);
            Ok(Expansion { next, slices })
        }
        .boxed()
    }

    fn count(&self, _: &Value, from: &[(Uuid, u64)], end: u64) -> weirgate_queue::Result<u64> {
        Ok(from.iter().filter(|(tenant, _)| *tenant == TENANT).map(|(_, from)| end - from).sum())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = connect_options(std::env::var("DATABASE_URL")?.parse()?);
    let pool = PgPoolOptions::new().connect_with(options).await?;
    MIGRATOR.run(&pool).await?;

    let id = Uuid::now_v7();
    let new = NewBackfill {
        kind: "squares".to_owned(),
        spec: json!({ "numbers": TOTAL }),
        plan: json!({}),
        total: TOTAL,
        queues: vec![Square::QUEUE.to_owned()],
        priority: 0,
        settings: BackfillSettings { share: 0.5, max_running: None },
        traceparent: None,
    };
    let mut tx = pool.begin().await?;
    backfill::create(&mut tx, id, &new).await?;
    tx.commit().await?;

    let registry = Kinds::default().with::<Square>().run_with(Arc::new(())).with_slices(Arc::new(Squares));
    let shutdown = CancellationToken::new();
    let config = WorkerConfig::new("example", "0", 1);
    let worker = tokio::spawn(Worker::run(pool.clone(), Arc::new(registry), config, shutdown.clone()));
    loop {
        let backfill = backfill::get(&mut *pool.acquire().await?, id).await?.expect("it was created");
        println!("{}: {} of {} slices done", backfill.state, backfill.done, backfill.total);
        if backfill.state.is_final() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    shutdown.cancel();
    Ok(worker.await??)
}
