//! Light tenants: each enqueues a job now and then, and waits for it to start.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio::task::JoinSet;
use uuid::Uuid;
use weirgate_queue::{NewJob, enqueue};

use super::work::{Starts, Work};

/// What each of their jobs does.
pub(super) const WORK: Work = Work { takes_ms: 10, slice: None };

/// How they behave.
pub(super) struct Light {
    pub(super) tenants: u32,
    pub(super) every: Duration,
    pub(super) ticks: u32,
}

/// From commit to the handler's first line, of every job.
pub(super) async fn latencies(
    pool: &PgPool,
    starts: &Arc<Starts>,
    tenants: &[Uuid],
    light: &Light,
) -> anyhow::Result<Vec<Duration>> {
    let mut producers = JoinSet::new();
    for (n, tenant) in tenants.iter().copied().enumerate() {
        let (pool, every, ticks) = (pool.clone(), light.every, light.ticks);
        // Spread over the interval, as tenants know nothing of each other.
        let first = tokio::time::Instant::now() + every * u32::try_from(n)? / light.tenants;
        producers.spawn(async move {
            let mut committed = Vec::new();
            for tick in 0..ticks {
                tokio::time::sleep_until(first + every * tick).await;
                let mut tx = pool.begin().await?;
                let job = enqueue(&mut tx, vec![NewJob::of(tenant, &WORK)?.not_unique()]).await?[0].id;
                tx.commit().await?;
                committed.push((job, Instant::now()));
            }
            anyhow::Ok(committed)
        });
    }
    let mut committed = Vec::new();
    while let Some(of_tenant) = producers.join_next().await {
        committed.extend(of_tenant??);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let started = starts.take();
    let latency = |(job, at): (Uuid, Instant)| {
        // What never started counts as the whole time.
        started.get(&job).map_or(Duration::from_mins(1), |start| start.saturating_duration_since(at))
    };
    Ok(committed.into_iter().map(latency).collect())
}
