//! Upkeep: small services of one shape, each with a `run_once`. Safe to run on every host at once.

pub mod bookkeeper;
pub mod promoter;
pub mod pruner;
pub mod rescuer;
pub mod settler;

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Runs them all until `stop`. An error is logged and tried again at the next turn.
pub(crate) async fn run(pool: PgPool, seed: u64, settle: Arc<Notify>, stop: CancellationToken) {
    let never = Notify::new();
    tokio::join!(
        every(Duration::from_millis(500), seed, &stop, &never, "promoter", || promoter::run_once(&pool)),
        every(Duration::from_secs(2), seed ^ 1, &stop, &never, "rescuer", || rescuer::run_once(&pool)),
        every(Duration::from_mins(1), seed ^ 2, &stop, &never, "pruner", || pruner::run_once(&pool)),
        every(Duration::from_secs(1), seed ^ 3, &stop, &settle, "settler", || settler::run_once(&pool)),
        every(Duration::from_secs(30), seed ^ 4, &stop, &never, "bookkeeper", || bookkeeper::run_once(&pool)),
    );
}

/// Calls `once` about every `interval`, a little apart on each host, and whenever `wake` says so.
async fn every<F>(
    interval: Duration,
    seed: u64,
    stop: &CancellationToken,
    wake: &Notify,
    name: &str,
    once: impl Fn() -> F,
) where
    F: Future<Output = crate::Result<u64>>,
{
    let mut rng = StdRng::seed_from_u64(seed);
    loop {
        let pause = interval.mul_f64(rng.random_range(0.8..1.2));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            () = wake.notified() => {}
        }
        match once().await {
            Ok(0) => {}
            Ok(count) => tracing::debug!(service = name, count, "upkeep"),
            Err(error) => tracing::warn!(service = name, %error, "upkeep failed; trying again"),
        }
    }
}
