//! Workers that stand still past their lease, and then go on as if nothing had been.

use std::time::{Duration, Instant};

use rand::RngExt;
use rustix::process::Signal;
use serde_json::Value;
use uuid::Uuid;

use crate::profile::times;
use crate::scene::{Plan, Scene};

/// Much longer than a lease and a turn of the rescuers.
const LONGEST: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn freeze() {
    let plan = Plan { lease: Duration::from_secs(2), ..Plan::new("SIGSTOP past the lease") };
    let mut scene = Scene::under_load(plan).await;
    let freezes = times(2, 12);
    let mut held = 0;
    for _ in 0..freezes {
        scene.pause(0..300).await;
        held += freeze_once(&mut scene).await;
    }
    let late: usize = scene.workers.iter().map(|worker| worker.logged("stale finish")).sum();
    scene.end(&format!("{freezes} stops with {held} jobs held, {late} late finishes refused")).await;
    assert!(late > 0, "no finish came late");
}

/// How many jobs others had to take over.
async fn freeze_once(scene: &mut Scene) -> usize {
    let (worker, held) = loop {
        let worker = scene.rng.random_range(0..scene.workers.len());
        scene.workers[worker].signal(Signal::STOP);
        // Finishes that are on their way arrive without it.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let held = scene.held_by(worker).await;
        if !held.is_empty() {
            break (worker, held);
        }
        scene.workers[worker].signal(Signal::CONT);
        scene.pause(5..50).await;
    };
    let lease = lease(scene, worker).await;
    let jobs: Vec<Uuid> = held.iter().map(|(job, _)| *job).collect();
    // While it stands still, its lease runs out and others run what it held.
    until_over(scene, lease).await;
    until(scene, &jobs, "state in ('completed', 'discarded')").await;
    let before = rows(scene, &jobs).await;
    scene.workers[worker].signal(Signal::CONT);
    let deadline = Instant::now() + LONGEST;
    while self::lease(scene, worker).await == lease {
        assert!(Instant::now() < deadline, "a worker that went on has not noticed the loss of its lease");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // It claims again, so that what it held before has been dealt with.
    scene.at_work(worker).await;
    assert_eq!(rows(scene, &jobs).await, before, "a late finish has changed something");
    jobs.len()
}

/// The newest lease of a worker's process.
async fn lease(scene: &Scene, worker: usize) -> Uuid {
    sqlx::query_scalar("select id from queue.workers where pid = $1 order by started_at desc limit 1")
        .bind(scene.workers[worker].pid().cast_signed())
        .fetch_one(&scene.db)
        .await
        .unwrap()
}

async fn until_over(scene: &Scene, lease: Uuid) {
    let deadline = Instant::now() + LONGEST;
    let sql = "select exists (select from queue.workers where id = $1 and lease_until > queue.now())";
    while sqlx::query_scalar(sql).bind(lease).fetch_one(&scene.db).await.unwrap() {
        assert!(Instant::now() < deadline, "the lease of a frozen worker does not run out");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn until(scene: &Scene, jobs: &[Uuid], condition: &str) {
    let deadline = Instant::now() + LONGEST;
    let sql = format!("select to_jsonb(j) from queue.jobs j where id = any($1) and not ({condition})");
    loop {
        let others: Vec<Value> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql.clone()))
            .bind(jobs)
            .fetch_all(&scene.db)
            .await
            .unwrap();
        if others.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "jobs of a frozen worker do not come to their end: {others:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn rows(scene: &Scene, jobs: &[Uuid]) -> Vec<Value> {
    sqlx::query_scalar(
        "select to_jsonb(j) || jsonb_build_object('ledger', (select jsonb_agg(to_jsonb(l)) from ledger l where l.job = j.id))
         from queue.jobs j where id = any($1) order by id",
    )
    .bind(jobs)
    .fetch_all(&scene.db)
    .await
    .unwrap()
}
