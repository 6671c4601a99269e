//! A rolling restart: every worker is told to stop and replaced, one after the other.

use std::time::Duration;

use crate::jobs::Chore;
use crate::load::{SkewedClock, new_job, produce};
use crate::profile::times;
use crate::scene::{Plan, Scene};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roll() {
    let plan = Plan {
        // Nothing of this can have waited for a lease: the scene is over before one runs out.
        lease: Duration::from_mins(5),
        grace: Duration::from_millis(300),
        ..Plan::new("SIGTERM, rolling")
    };
    let mut scene = Scene::under_load(plan).await;
    let rounds = times(1, 5);
    for _ in 0..rounds {
        for worker in 0..scene.workers.len() {
            // Longer than the grace period: these are handed back.
            let slow = (0..12).map(|_| new_job(&Chore::new(scene.tenants[0], 1500), SkewedClock::default()));
            produce(&scene.db, &scene.ledger, slow.map(|job| job.priority(10)).collect()).await;
            scene.headway(5).await;
            let status = scene.workers[worker].stop().await;
            assert!(status.success(), "worker-{worker} ended with {status}");
            let left = scene.held_by(worker).await;
            assert!(left.is_empty(), "worker-{worker} has ended and holds {left:?}");
            scene.workers[worker].start_again();
        }
    }
    let counts = scene.end(&format!("{rounds} rounds of all workers")).await;
    assert!(counts.handed_back > 0, "nothing had to be handed back");
    assert_eq!(counts.rescued(), 0, "jobs waited for the end of a lease");
}
