//! Maintenance: small services of one shape, each with a `run_once`.
//!
//! Every worker runs the promoter, the resolver and the expander. The other services are the
//! leader's. Where two leaders at once would do harm, each of the service's transactions checks
//! that its worker still leads. To add a service of the leader's, give it a `run_once` that begins
//! its transactions through a [`TransactionSource`](crate::maintenance::leader::TransactionSource),
//! and a line in `run`.

pub mod checkpointer;
pub mod expander;
pub mod leader;
pub mod promoter;
pub mod pruner;
pub mod reconciler;
pub mod rescuer;
pub mod resolver;
pub(crate) mod retention;
pub mod scheduler;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use checkpointer::Checkpointer;
use expander::Expander;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use retention::Retention;
use scheduler::Scheduler;
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use upkeep::Upkeep;

use crate::backfill::Slices;
use crate::database::deadline::{AdaptiveDeadline, within};
use crate::database::history;
use crate::maintenance::leader::Leader;
use crate::schedule::{PRUNE, RECONCILE, RESCUE};
use crate::telemetry::meter::Meter;
use crate::telemetry::rollup::RollupWriter;
use crate::worker::wakers::Wakers;
use crate::workflow::RESOLVER_WAKE_NAME;

/// What the services of one worker need.
pub(crate) struct Maintenance {
    pub(crate) pool: PgPool,
    pub(crate) leader: Leader,
    pub(crate) scheduler: Scheduler,
    pub(crate) retention: Retention,
    pub(crate) slices: Vec<Arc<dyn Slices>>,
    pub(crate) wakers: Wakers,
    pub(crate) meter: Meter,
    pub(crate) rollups: Arc<RollupWriter>,
    pub(crate) seed: u64,
}

/// Runs all services until `stop`. An error is logged, and the service is run again at its next
/// time.
pub(crate) async fn run(with: Maintenance, stop: CancellationToken) {
    let Maintenance { pool, leader, scheduler, retention, slices, wakers, meter, rollups, seed } = with;
    let [rescue, prune, reconcile] = [RESCUE, PRUNE, RECONCILE].map(Upkeep::new);
    let checkpointer = Checkpointer::default();
    let resolver_wake = wakers.for_queue(RESOLVER_WAKE_NAME);
    let never = Notify::new();
    let half_second = Duration::from_millis(500);
    tokio::join!(
        run_elections(&leader, &wakers, &stop),
        every(&pool, half_second, seed, &stop, &never, "promoter", || promoter::run_once(&pool)),
        every(&pool, Duration::from_secs(1), seed ^ 4, &stop, &resolver_wake, "resolver", || {
            resolver::run_once(&pool)
        }),
        every(&pool, half_second, seed ^ 1, &stop, &never, "rescuer", || {
            rescue.run_once(&leader, async || {
                rescuer::run_once(&leader).await.inspect(|jobs| meter.add_rescued(*jobs))
            })
        }),
        every(&pool, half_second, seed ^ 2, &stop, &never, "scheduler", || scheduler.run_once(&leader)),
        every(&pool, Duration::from_secs(5), seed ^ 3, &stop, &never, "pruner", || {
            prune.run_once(&leader, async || pruner::run_once(&leader, retention).await)
        }),
        every(&pool, Duration::from_secs(2), seed ^ 5, &stop, &never, "checkpointer", || async {
            if leader.leads() {
                return checkpointer.run_once(&pool).await;
            }
            checkpointer.clear().await;
            Ok(0)
        }),
        every(&pool, Duration::from_secs(5), seed ^ 7, &stop, &never, "reconciler", || {
            reconcile.run_once(&leader, async || reconciler::run_once(&pool).await)
        }),
        every(&pool, Duration::from_secs(5), seed ^ 8, &stop, &never, "rollup", || rollups.run_once(&pool)),
        run_expander(&pool, slices, seed ^ 6, &stop),
    );
}

/// Stands for election until `stop`, and then resigns.
async fn run_elections(leader: &Leader, wakers: &Wakers, stop: &CancellationToken) {
    let resigned = wakers.for_election();
    loop {
        if let Err(error) = within(ELECTION_TIMEOUT, leader.run_once()).await {
            tracing::warn!(%error, "the election failed; it is tried again");
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(leader.interval()) => {}
            () = resigned.notified() => {}
            () = leader.lost() => {}
        }
    }
    if let Err(error) = leader.resign().await {
        tracing::warn!(%error, "could not resign; another worker leads when the lease ends");
    }
}

/// Runs the expander more often while backfills progress, so that the fleet does not run out of
/// their slices.
async fn run_expander(pool: &PgPool, slices: Vec<Arc<dyn Slices>>, seed: u64, stop: &CancellationToken) {
    if slices.is_empty() {
        return;
    }
    let expander = Expander::new(slices);
    every(pool, Duration::from_millis(200), seed, stop, &Notify::new(), "expander", || async {
        let (mut total, mut idle_runs) = (0, 10);
        loop {
            let result = expander.run_once(pool).await;
            if result.is_err() {
                // What is wrong with a backfill may last.
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(Duration::from_secs(2)) => {}
                }
            }
            let count = result?;
            total += count;
            idle_runs = if count > 0 { 0 } else { idle_runs + 1 };
            if idle_runs > 10 || stop.is_cancelled() {
                return Ok(total);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    })
    .await;
}

/// How long one run of a service usually takes at most, however much there is to do; see
/// [`AdaptiveDeadline`].
const RUN_TIMEOUT: Duration = Duration::from_mins(1);

/// How long a renewal of the lease, or an attempt to take it, may wait for the database.
const ELECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Calls `run_once` about every `interval`, at slightly different times on each worker, and
/// whenever `wake` is notified.
async fn every<F>(
    pool: &PgPool,
    interval: Duration,
    seed: u64,
    stop: &CancellationToken,
    wake: &Notify,
    name: &str,
    run_once: impl Fn() -> F,
) where
    F: Future<Output = crate::Result<u64>>,
{
    let mut rng = StdRng::seed_from_u64(seed);
    let mut deadline = AdaptiveDeadline::new(RUN_TIMEOUT);
    loop {
        let pause = interval.mul_f64(rng.random_range(0.8..1.2));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            () = wake.notified() => {}
        }
        let result = within(deadline.limit(), run_once()).await;
        deadline.adapt(&result);
        match result {
            Ok(0) => {}
            Ok(count) => tracing::debug!(service = name, count, "a maintenance service ran"),
            Err(error) => {
                tracing::warn!(service = name, %error, "a maintenance service failed; it is run again");
                let recovered = within(deadline.limit(), history::recover(pool, &error)).await;
                if let Err(error) = recovered {
                    tracing::warn!(service = name, %error, "could not compare the database's history");
                }
            }
        }
    }
}
