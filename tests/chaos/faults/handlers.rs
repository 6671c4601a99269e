//! Handlers that panic, hang, block their thread, return 10 MB or take 500 MB: the process lives, and so does its work.

use crate::jobs::{Ill, Trouble};
use crate::load::{SkewedClock, produce};
use crate::profile::times;
use crate::scene::{Plan, Scene};
use weirgate_queue::NewJob;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers() {
    // A machine that is busy zeroing memory must not cost anybody its lease.
    let plan = Plan { lease: std::time::Duration::from_secs(10), ..Plan::new("bad handlers") };
    let scene = Scene::under_load(plan).await;
    let pids: Vec<u32> = scene.workers.iter().map(super::super::worker::Worker::pid).collect();
    let rounds = times(2, 20);
    for _ in 0..rounds {
        let troubles = Ill::ALL.map(|ill| {
            let mut job =
                NewJob::of(scene.tenants[0], &Trouble::new(scene.tenants[0], ill)).unwrap().not_unique();
            job.id = SkewedClock::default().id();
            job.priority(10)
        });
        produce(&scene.db, &scene.book, troubles.to_vec()).await;
        scene.headway(50).await;
    }
    assert_eq!(scene.workers.iter().map(super::super::worker::Worker::pid).collect::<Vec<_>>(), pids);
    let codes: Vec<(String, i64)> = sqlx::query_as(
        "select e->>'code', count(*) from queue.jobs, jsonb_array_elements(errors) as e
         where kind = 'trouble' group by 1 order by 1",
    )
    .fetch_all(&scene.db)
    .await
    .unwrap();
    let failed: Vec<String> = codes.iter().map(|(code, count)| format!("{count} {code}")).collect();
    let what = format!("{} of each of {} kinds ({})", rounds, Ill::ALL.len(), failed.join(", "));
    scene.end(&what).await;
}
