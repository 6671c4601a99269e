//! A Postgres that answers and takes no writes, as one does that was demoted or whose administrator
//! set it so.

use std::time::Duration;

use crate::profile::times;
use crate::scene::{Plan, Scene};

/// From when it takes writes again until all goes on. In the short profile other tests may share
/// the machine.
fn back() -> Duration {
    Duration::from_secs(times(35, 15) as u64)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readonly() {
    let mut scene = Scene::under_load(Plan::new("no writes")).await;
    let rounds = times(1, 4);
    let mut longest = Duration::ZERO;
    for round in 0..rounds {
        scene.cluster.set_read_only(true).await;
        // Shorter and longer than a lease of the workers.
        tokio::time::sleep(scene.plan.lease.mul_f64(if round % 2 == 0 { 1.5 } else { 0.5 })).await;
        scene.produce_one().await;
        scene.cluster.set_read_only(false).await;
        longest = longest.max(scene.back(100).await);
        scene.pause(0..500).await;
    }
    assert!(longest <= back(), "took {longest:?}");
    let refused = scene.ledger.lock().refused.len();
    assert!(refused > 0, "every enqueue was taken");
    let discarded: usize =
        scene.workers.iter().map(|worker| worker.logged("Postgres refuses this outcome")).sum();
    assert_eq!(discarded, 0, "outcomes were given up that could be written later");
    scene.end(&format!("{rounds} times, back within {:.1} s", longest.as_secs_f64())).await;
}
