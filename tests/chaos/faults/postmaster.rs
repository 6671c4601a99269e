//! A Postgres whose first process is killed.

use std::time::Duration;

use crate::profile::times;
use crate::scene::{Plan, Scene};

/// From when the server takes connections again until all goes on. In the short profile other tests
/// may share the machine.
fn back() -> Duration {
    Duration::from_secs(times(35, 15) as u64)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postmaster() {
    let plan = Plan { lease: Duration::from_secs(5), ..Plan::new("SIGKILL of the postmaster") };
    let mut scene = Scene::under_load(plan).await;
    let kills = times(1, 6);
    let mut longest = Duration::ZERO;
    for _ in 0..kills {
        scene.pause(200..1500).await;
        scene.cluster.kill_postmaster().await;
        longest = longest.max(scene.back(100).await);
    }
    assert!(longest <= back(), "took {longest:?}");
    scene.end(&format!("{kills} kills, back within {:.1} s", longest.as_secs_f64())).await;
}
