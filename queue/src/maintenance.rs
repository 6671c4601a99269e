//! Upkeep: small services of one shape, each with a `run_once`.
//!
//! Every host promotes and settles. Everything else is the leader's, and where two at once would do harm,
//! each of its transactions checks that it still leads. To add a service of the leader's, give it a `run_once` that
//! takes its transactions from a [`Begin`](crate::maintenance::leader::Begin), and a line in `run`.

pub mod bookkeeper;
pub mod expander;
pub mod leader;
pub mod promoter;
pub mod pruner;
pub mod reconciler;
pub mod rescuer;
pub mod scheduler;
pub mod settler;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::backfill::Slices;
use crate::database::history;
use crate::database::patience::{Patience, within};
use crate::maintenance::leader::Leader;
use crate::schedule::{PRUNE, RECONCILE, RESCUE};
use crate::telemetry::meter::Meter;
use crate::telemetry::pulse;
use crate::worker::listener::Wakers;

use bookkeeper::Bookkeeper;
use expander::Expander;
use pruner::Retention;
use scheduler::Scheduler;
use upkeep::Upkeep;

/// What the upkeep of one host works with.
pub(crate) struct Maintenance {
    pub(crate) pool: PgPool,
    pub(crate) leader: Leader,
    pub(crate) scheduler: Scheduler,
    pub(crate) retention: Retention,
    pub(crate) slices: Vec<Arc<dyn Slices>>,
    pub(crate) wakers: Wakers,
    pub(crate) meter: Meter,
    pub(crate) pulse: Arc<pulse::Writer>,
    pub(crate) seed: u64,
}

/// Runs them all until `stop`. An error is logged and tried again at the next turn.
pub(crate) async fn run(with: Maintenance, stop: CancellationToken) {
    let Maintenance { pool, leader, scheduler, retention, slices, wakers, meter, pulse, seed } = with;
    let [rescue, prune, reconcile] = [RESCUE, PRUNE, RECONCILE].map(Upkeep::new);
    let books = Bookkeeper::default();
    let settle = wakers.of(settler::WAKE);
    let never = Notify::new();
    let half_second = Duration::from_millis(500);
    tokio::join!(
        lead(&leader, &wakers, &stop),
        every(&pool, half_second, seed, &stop, &never, "promoter", || promoter::run_once(&pool)),
        every(&pool, Duration::from_secs(1), seed ^ 4, &stop, &settle, "settler", || settler::run_once(
            &pool
        )),
        every(&pool, half_second, seed ^ 1, &stop, &never, "rescuer", || {
            rescue.run_once(&leader, async || {
                rescuer::run_once(&leader).await.inspect(|jobs| meter.add_rescued(*jobs))
            })
        }),
        every(&pool, half_second, seed ^ 2, &stop, &never, "scheduler", || scheduler.run_once(&leader)),
        every(&pool, Duration::from_secs(5), seed ^ 3, &stop, &never, "pruner", || {
            prune.run_once(&leader, async || pruner::run_once(&leader, retention).await)
        }),
        every(&pool, Duration::from_secs(2), seed ^ 5, &stop, &never, "bookkeeper", || async {
            if leader.leads() {
                return books.run_once(&pool).await;
            }
            books.forget().await;
            Ok(0)
        }),
        every(&pool, Duration::from_secs(5), seed ^ 7, &stop, &never, "reconciler", || {
            reconcile.run_once(&leader, async || reconciler::run_once(&pool).await)
        }),
        every(&pool, Duration::from_secs(5), seed ^ 8, &stop, &never, "pulse", || pulse.run_once(&pool)),
        expand(&pool, slices, seed ^ 6, &stop),
    );
}

/// Stands for leader until `stop`, and steps down then.
async fn lead(leader: &Leader, wakers: &Wakers, stop: &CancellationToken) {
    let stepped_down = wakers.of_election();
    loop {
        if let Err(error) = within(LEASE_ANSWER, leader.run_once()).await {
            tracing::warn!(%error, "could not ask who leads; trying on");
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(leader.interval()) => {}
            () = stepped_down.notified() => {}
            () = leader.lost() => {}
        }
    }
    if let Err(error) = leader.resign().await {
        tracing::warn!(%error, "could not step down; another host leads when the lease ends");
    }
}

/// Looks more often while backfills make headway, so that the fleet does not run out of their slices.
async fn expand(pool: &PgPool, slices: Vec<Arc<dyn Slices>>, seed: u64, stop: &CancellationToken) {
    if slices.is_empty() {
        return;
    }
    let expander = Expander::new(slices);
    every(pool, Duration::from_millis(200), seed, stop, &Notify::new(), "expander", || async {
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

/// How long a turn of a service usually takes at most, however much there is to do; see [`Patience`].
const ANSWER: Duration = Duration::from_mins(1);

/// How long the question who leads may take.
const LEASE_ANSWER: Duration = Duration::from_secs(5);

/// Calls `once` about every `interval`, a little apart on each host, and whenever `wake` says so.
async fn every<F>(
    pool: &PgPool,
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
    let mut patience = Patience::new(ANSWER);
    loop {
        let pause = interval.mul_f64(rng.random_range(0.8..1.2));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            () = wake.notified() => {}
        }
        let done = within(patience.limit(), once()).await;
        patience.learn(&done);
        match done {
            Ok(0) => {}
            Ok(count) => tracing::debug!(service = name, count, "upkeep"),
            Err(error) => {
                tracing::warn!(service = name, %error, "upkeep failed; trying again");
                let recovered = within(patience.limit(), history::recover(pool, &error)).await;
                if let Err(error) = recovered {
                    tracing::warn!(service = name, %error, "could not compare the database's history");
                }
            }
        }
    }
}
