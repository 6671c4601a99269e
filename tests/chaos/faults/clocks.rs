//! Hosts whose clocks are an hour apart. A process' clock cannot be shifted for real here; but all
//! that the engine makes of a host's clock are the times inside its v7 UUIDs, and those come from
//! shifted clocks: of producers and of handlers that enqueue. That every stored time is the
//! database's is one of the promises that are always checked.

use std::time::Duration;

use crate::jobs::Chore;
use crate::load::{SkewedClock, new_job, produce};
use crate::profile::times;
use crate::scene::{Plan, Scene};

const CLOCKS: [i64; 3] = [3600, -3600, 0];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks() {
    let clocks = CLOCKS.map(|ahead_s| SkewedClock { ahead_s }).to_vec();
    let scene = Scene::under_load(Plan { clocks, ..Plan::new("clocks an hour apart") }).await;
    scene.headway(i64::try_from(times(200, 3000)).unwrap()).await;
    scene.end("3 hosts, 1 h ahead, right and 1 h behind").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order() {
    let clocks = CLOCKS.map(|ahead_s| SkewedClock { ahead_s }).to_vec();
    // A rescued job would rightly start after later ones.
    let lease = Duration::from_mins(1);
    let plan =
        Plan { clocks, lease, workers: 2, concurrency: 1, ..Plan::new("order with clocks an hour apart") };
    let scene = Scene::new(plan).await;
    let jobs = times(60, 600);
    // Each enqueued by another host, all in one lane.
    for job in 0..jobs {
        let clock = SkewedClock { ahead_s: CLOCKS[job % CLOCKS.len()] };
        produce(&scene.db, &scene.ledger, vec![new_job(&Chore::new(scene.tenants[0], 1), clock)]).await;
    }
    while scene.completed().await < i64::try_from(jobs).unwrap() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Each worker runs one at a time, so its own starts are in the order of enqueueing.
    let out_of_order: i64 = sqlx::query_scalar(
        "select count(*) from (
            select seq, lag(seq) over (partition by worker_id order by attempted_at) as before from queue.jobs
         ) as starts where seq < before",
    )
    .fetch_one(&scene.db)
    .await
    .unwrap();
    // That the ids are out of order shows that the clocks were.
    let shuffled: i64 = sqlx::query_scalar(
        "select count(*) from (select id, lag(id) over (order by seq) as before from queue.jobs) as ids where id < before",
    )
    .fetch_one(&scene.db)
    .await
    .unwrap();
    assert_eq!(out_of_order, 0, "started out of order");
    assert!(shuffled > 0);
    scene.end(&format!("{jobs} jobs of one lane, {shuffled} ids out of order, {out_of_order} starts")).await;
}
