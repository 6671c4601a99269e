//! Handlers that panic, hang, block their thread, take 500 MB or return 10 MB: the process lives,
//! and so does its work.

use std::time::Duration;

use uuid::Uuid;
use weirgate_queue::{Job, NewJob};

use crate::jobs::{Bulky, Ill, Trouble};
use crate::load::produce;
use crate::profile::times;
use crate::scene::{Plan, Scene};
use crate::worker::Worker;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers() {
    // A machine that is busy zeroing memory must not cost anybody its lease.
    let plan = Plan { lease: Duration::from_secs(15), ..Plan::new("bad handlers") };
    let scene = Scene::under_load(plan).await;
    let pids = |scene: &Scene| scene.workers.iter().map(Worker::pid).collect::<Vec<_>>();
    let before = pids(&scene);
    let rounds = times(2, 15);
    for _ in 0..rounds {
        let mut jobs: Vec<_> = Ill::ALL.map(|ill| job(scene.tenants[0], &Trouble { ill })).to_vec();
        jobs.extend([false, true].map(|plain| job(scene.tenants[0], &Bulky { plain })));
        produce(&scene.db, &scene.ledger, jobs).await;
        // Other jobs go on meanwhile.
        scene.headway(50).await;
    }
    assert_eq!(pids(&scene), before);
    let counts = scene.end(&format!("{rounds} of each of 6 kinds")).await;
    // Each of the ill failed once, by itself or, on a busy machine, by its time. Not so one that
    // blocks its thread: when it comes back and ends before the clock is looked at, it has done its
    // work.
    let (panicked, timed_out) = (counts.failed("panicked"), counts.failed("timed_out"));
    assert!(panicked > 0 && timed_out > 0 && panicked + timed_out >= 3 * i64::try_from(rounds).unwrap());
}

fn job<J: Job>(tenant: Uuid, job: &J) -> NewJob {
    NewJob::of(tenant, job).unwrap().not_unique().priority(10)
}
