//! Upkeep: small services of one shape, each with a `run_once`. Safe to run on every host at once.

pub mod bookkeeper;
pub mod expander;
pub mod promoter;
pub mod pruner;
pub mod rescuer;

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::backfill::Slices;
use crate::maintenance::expander::Expander;

/// Runs them all until `stop`. An error is logged and tried again at the next turn.
pub(crate) async fn run(pool: PgPool, slices: Option<Arc<dyn Slices>>, seed: u64, stop: CancellationToken) {
    tokio::join!(
        every(Duration::from_millis(500), seed, &stop, "promoter", || promoter::run_once(&pool)),
        every(Duration::from_secs(2), seed ^ 1, &stop, "rescuer", || rescuer::run_once(&pool)),
        every(Duration::from_mins(1), seed ^ 2, &stop, "pruner", || pruner::run_once(&pool)),
        every(Duration::from_secs(30), seed ^ 3, &stop, "bookkeeper", || bookkeeper::run_once(&pool)),
        expand(&pool, slices, seed ^ 4, &stop),
    );
}

/// Looks more often while backfills make headway, so that the fleet does not run out of their slices.
async fn expand(pool: &PgPool, slices: Option<Arc<dyn Slices>>, seed: u64, stop: &CancellationToken) {
    let Some(slices) = slices else { return };
    let expander = Expander::new(slices);
    every(Duration::from_millis(200), seed, stop, "expander", || async {
        let (mut all, mut idle) = (0, 10);
        loop {
            let ran = expander.run_once(pool).await;
            if ran.is_err() {
                // What is wrong with one of them may last.
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(Duration::from_secs(2)) => {}
                }
            }
            let count = ran?;
            all += count;
            idle = if count > 0 { 0 } else { idle + 1 };
            if idle > 10 || stop.is_cancelled() {
                return Ok(all);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    })
    .await;
}

/// Calls `once` about every `interval`, a little apart on each host.
async fn every<F>(interval: Duration, seed: u64, stop: &CancellationToken, name: &str, once: impl Fn() -> F)
where
    F: Future<Output = crate::Result<u64>>,
{
    let mut rng = StdRng::seed_from_u64(seed);
    loop {
        let pause = interval.mul_f64(rng.random_range(0.8..1.2));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        match once().await {
            Ok(0) => {}
            Ok(count) => tracing::debug!(service = name, count, "upkeep"),
            Err(error) => tracing::warn!(service = name, %error, "upkeep failed; trying again"),
        }
    }
}
