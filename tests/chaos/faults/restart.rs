//! A Postgres that crashes and recovers.

use std::time::Duration;

use crate::profile::times;
use crate::scene::{Plan, Scene};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restart() {
    let plan = Plan { lease: Duration::from_secs(5), ..Plan::new("pg_ctl restart -m immediate") };
    let mut scene = Scene::under_load(plan).await;
    let restarts = times(1, 6);
    for _ in 0..restarts {
        scene.pause(200..1500).await;
        scene.cluster.restart_immediately().await;
        scene.headway(100).await;
    }
    scene.end(&format!("{restarts} restarts")).await;
}
