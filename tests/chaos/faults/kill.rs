//! Worker processes that are gone from one instant to the next.

use rand::RngExt;

use crate::profile::times;
use crate::scene::{Plan, Scene};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill() {
    let mut scene = Scene::under_load(Plan::new("kill -9")).await;
    let kills = times(6, 50);
    let mut with_jobs = 0;
    for _ in 0..kills {
        let victim = scene.rng.random_range(0..scene.workers.len());
        scene.at_work(victim).await;
        scene.pause(0..400).await;
        with_jobs += usize::from(!scene.held_by(victim).await.is_empty());
        scene.workers[victim].kill();
        scene.pause(0..100).await;
        scene.workers[victim].start_again();
    }
    let counts = scene.end(&format!("{kills} kills ({with_jobs} of workers that held jobs)")).await;
    assert!(counts.rescued() > 0, "nothing had to be rescued: the kills hit nobody");
}
