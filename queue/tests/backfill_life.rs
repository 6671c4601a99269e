//! The life of a backfill: run, paused, cancelled, retried, finished; with the production worker.

use std::time::Duration;

use uuid::Uuid;
use weirgate_queue::backfill::{self, Backfill, BackfillSettings, BackfillState};
use weirgate_queue::lanes::settings::{self, LaneSettings};
use weirgate_queue::lanes::{LaneLimits, change};
use weirgate_queue::{JobState, NewJob, QueueError};
use weirgate_test_support::{Does, Probe, Step, Steps, TestDb, TestWorker, expander, show};

/// Waits until the backfill is in `state`.
async fn until(db: &TestDb, id: Uuid, state: BackfillState) -> Backfill {
    until_backfill(db, id, |backfill| backfill.state == state).await
}

async fn until_backfill(db: &TestDb, id: Uuid, is: impl Fn(&Backfill) -> bool) -> Backfill {
    for _ in 0..800 {
        let shown = show(db, id).await;
        if is(&shown) {
            return shown;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it does not come to that: {:#?}", show(db, id).await);
}

async fn pause(db: &TestDb, id: Uuid, paused: bool) {
    let mut tx = db.pool.begin().await.unwrap();
    if paused {
        backfill::pause(&mut tx, id).await.unwrap();
    } else {
        backfill::resume(&mut tx, id).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn retry_failed(db: &TestDb, id: Uuid) -> bool {
    let mut tx = db.pool.begin().await.unwrap();
    let any = backfill::retry_failed(&mut tx, id).await.unwrap();
    tx.commit().await.unwrap();
    any
}

async fn unfinished_settings(db: &TestDb) -> usize {
    settings::load(&mut db.pool.acquire().await.unwrap(), "default").await.unwrap().backfills.len()
}

#[tokio::test]
async fn backfill_runs_to_its_end_and_its_counts_are_those_of_its_jobs() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start_with(&db, &probe, |config| config.concurrency = 32.into());
    let steps = Steps { every: 2, ..Steps::that(Does::Succeed) };
    let id = steps.backfill(&db, 3000, BackfillSettings::default()).await;
    let done = until(&db, id, BackfillState::Completed).await;
    assert_eq!((done.expanded, done.skipped, done.jobs, done.done), (3000, 1500, 1500, 3000));
    assert_eq!(done.counts.of(JobState::Completed), 1500);
    assert!(done.finished_at.is_some() && done.rate.is_none() && done.estimated_finish.is_none());
    let mut ran = probe.started();
    ran.sort_unstable_by_key(|label| label.parse::<u32>().unwrap());
    assert_eq!(ran, (0..1500).map(|n| (2 * n).to_string()).collect::<Vec<_>>());
    assert_eq!(unfinished_settings(&db).await, 0, "claims need not know it any more");
    worker.stop().await;
    // Its jobs are deleted one day; its counts stay.
    sqlx::query("delete from queue.jobs").execute(&db.pool).await.unwrap();
    let later = show(&db, id).await;
    assert_eq!((later.state, later.done, later.counts), (done.state, done.done, done.counts));
}

#[tokio::test]
async fn paused_backfill_starts_and_makes_no_jobs_until_it_is_resumed() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start(&db, &probe);
    let id = Steps::that(Does::Gate).backfill(&db, 600, BackfillSettings::default()).await;
    until_backfill(&db, id, |it| it.counts.of(JobState::Running) == 4 && it.expanded == 500).await;
    pause(&db, id, true).await;
    probe.until_started(4).await;
    let started = probe.started();
    // All running jobs end, which makes room in the window.
    for label in &started {
        probe.open(label);
    }
    until_backfill(&db, id, |it| it.counts.of(JobState::Running) == 0).await;
    sqlx::query(
        "update queue.jobs set state = 'completed', finalized_at = queue.now()
         where id in (select id from queue.jobs where state = 'available' order by seq desc limit 300)",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    expander().run_once(&db.pool).await.unwrap();
    // Live work is not delayed. When it has run, the paused jobs had the chance to start.
    let live = db.enqueue(Uuid::nil(), &Step::new("live", Does::Succeed)).await.id;
    db.until(live, JobState::Completed).await;
    let paused = show(&db, id).await;
    assert_eq!((paused.state, paused.expanded), (BackfillState::Paused, 500));
    assert_eq!(probe.started().len(), started.len() + 1);
    pause(&db, id, false).await;
    (0..600).for_each(|n| probe.open(&n.to_string()));
    let done = until(&db, id, BackfillState::Completed).await;
    assert_eq!(done.counts.of(JobState::Completed), 600);
    let over = backfill::pause(&mut db.pool.acquire().await.unwrap(), id).await.unwrap_err();
    assert!(matches!(over, QueueError::WrongBackfillState { .. }), "{over}");
    worker.stop().await;
}

#[tokio::test]
async fn cancelled_backfill_ends_waiting_jobs_and_stops_running_ones() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start(&db, &probe);
    let steps = Steps { pairs: true, ..Steps::that(Does::GateOrCancel) };
    let id = steps.backfill(&db, 10_000, BackfillSettings::default()).await;
    until_backfill(&db, id, |it| it.counts.of(JobState::Running) == 4).await;
    backfill::cancel(&db.pool, id).await.unwrap();
    let cancelled = until(&db, id, BackfillState::Cancelled).await;
    assert_eq!(cancelled.counts.live(), 0);
    assert_eq!(cancelled.expanded, 500, "no more slices");
    assert!(cancelled.counts.of(JobState::Cancelled) > 500);
    let next = db.enqueue(Uuid::nil(), &Step::new("next", Does::Succeed)).await.id;
    db.until(next, JobState::Completed).await;
    backfill::cancel(&db.pool, id).await.unwrap();
    assert_eq!(show(&db, id).await.finished_at, cancelled.finished_at, "again changes nothing");
    let mut conn = db.pool.acquire().await.unwrap();
    let refused = backfill::retry_failed(&mut conn, id).await.unwrap_err().to_string();
    assert!(refused.contains("create a new one"), "{refused}");
    let unknown = backfill::cancel(&db.pool, Uuid::now_v7()).await.unwrap_err();
    assert!(matches!(unknown, QueueError::UnknownBackfill(_)));
    worker.stop().await;
}

#[tokio::test]
async fn interrupted_cancel_is_carried_on_by_the_expander() {
    let db = TestDb::new().await;
    let id = Steps::that(Does::Succeed).backfill(&db, 10_000, BackfillSettings::default()).await;
    let expander = expander();
    expander.run_once(&db.pool).await.unwrap();
    // A process that is killed after the first commit of a cancel leaves this.
    sqlx::query("update queue.backfills set paused = true, cancelled_at = queue.now()")
        .execute(&db.pool)
        .await
        .unwrap();
    assert_eq!(show(&db, id).await.state, BackfillState::Cancelling);
    while expander.run_once(&db.pool).await.unwrap() > 0 {}
    let shown = show(&db, id).await;
    assert_eq!((shown.state, shown.counts.of(JobState::Cancelled)), (BackfillState::Cancelled, 500));
}

#[tokio::test]
async fn failed_jobs_are_retried() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start_with(&db, &probe, |config| config.concurrency = 32.into());
    let id = Steps::that(Does::Discard).backfill(&db, 700, BackfillSettings::default()).await;
    let failed = until(&db, id, BackfillState::CompletedWithFailures).await;
    assert_eq!(failed.counts.of(JobState::Discarded), 700);
    // The cause is fixed, but one of the jobs has a live duplicate.
    sqlx::query("update queue.jobs set args = jsonb_set(args, '{does}', '\"Succeed\"')")
        .execute(&db.pool)
        .await
        .unwrap();
    let duplicate = NewJob::of(Uuid::from_u128(1), &Step::new("1", Does::Discard)).unwrap();
    let duplicate = db.enqueue_new(duplicate.delay(Duration::from_hours(1))).await.id;
    assert!(retry_failed(&db, id).await);
    assert_eq!(unfinished_settings(&db).await, 1, "its share counts again");
    let done = until_backfill(&db, id, |it| it.state.is_final()).await;
    assert_eq!((done.counts.of(JobState::Completed), done.counts.of(JobState::Discarded)), (699, 1));
    assert_eq!(done.state, BackfillState::CompletedWithFailures);
    assert_eq!(db.job(duplicate).await.state(), JobState::Scheduled);
    worker.stop().await;
}

#[tokio::test]
async fn retry_without_failed_jobs_changes_nothing() {
    let db = TestDb::new().await;
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    let id = Steps::that(Does::Succeed).backfill(&db, 5, BackfillSettings::default()).await;
    let done = until(&db, id, BackfillState::Completed).await;
    assert!(!retry_failed(&db, id).await);
    assert_eq!(show(&db, id).await.finished_at, done.finished_at);
    worker.stop().await;
}

#[tokio::test]
async fn backfill_at_its_max_running_goes_on_through_all_tenants() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start(&db, &probe);
    let settings = BackfillSettings { max_running: Some(1), ..BackfillSettings::default() };
    let steps = Steps { tenants: 20, ..Steps::that(Does::Gate) };
    let id = steps.backfill(&db, 60, settings).await;
    until_backfill(&db, id, |it| it.counts.of(JobState::Running) == 1 && it.expanded == 60).await;
    // While it is full, every worker checks all of its sub-lanes anew.
    let mut tx = db.pool.begin().await.unwrap();
    backfill::update_settings(&mut tx, id, |settings| settings.max_running = Some(1)).await.unwrap();
    tx.commit().await.unwrap();
    for done in 1..=60 {
        let running = probe.started();
        assert_eq!(running.len(), done, "one at a time");
        probe.open(running.last().unwrap());
        if done < 60 {
            probe.until_started(done + 1).await;
        }
    }
    until(&db, id, BackfillState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn tenants_live_job_takes_the_permit_that_its_backfill_frees() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let tenant = Uuid::from_u128(0);
    let full = LaneSettings {
        limits: Some(LaneLimits { max_running: Some(1), ..LaneLimits::default() }),
        ..LaneSettings::default()
    };
    change::change_lane(&mut db.pool.acquire().await.unwrap(), "default", tenant, full.into()).await.unwrap();
    let worker = TestWorker::start(&db, &probe);
    let steps = Steps { tenants: 1, ..Steps::that(Does::Gate) };
    let id = steps.backfill(&db, 2, BackfillSettings::default()).await;
    until_backfill(&db, id, |it| it.counts.of(JobState::Running) == 1 && it.expanded == 2).await;
    // Enqueued while the lane is full, and before the next slice in any case.
    let live = db.enqueue(tenant, &Step::new("live", Does::Succeed)).await.id;
    probe.until_started(1).await;
    probe.open("0");
    db.until(live, JobState::Completed).await;
    assert_eq!(probe.started()[..2], ["0", "live"]);
    worker.stop().await;
}

#[tokio::test]
async fn rate_and_estimated_finish_come_from_samples() {
    let db = TestDb::new().await;
    let id = Steps::that(Does::Succeed).backfill(&db, 1000, BackfillSettings::default()).await;
    let expander = expander();
    expander.run_once(&db.pool).await.unwrap();
    assert_eq!(show(&db, id).await.estimated_finish, None);
    for _ in 0..30 {
        db.travel(Duration::from_secs(10)).await;
        sqlx::query(
            "update queue.jobs set state = 'completed', finalized_at = queue.now()
             where id in (select id from queue.jobs where state = 'available' order by seq limit 20)",
        )
        .execute(&db.pool)
        .await
        .unwrap();
        expander.run_once(&db.pool).await.unwrap();
    }
    let shown = show(&db, id).await;
    assert_eq!(shown.done, 600);
    let rate = shown.rate.unwrap();
    assert!((1.9..=2.1).contains(&rate), "20 in 10 s: {rate}");
    let left = (shown.estimated_finish.unwrap() - shown.observed_at).as_seconds_f64();
    assert!((190.0..=211.0).contains(&left), "400 slices at 2/s: {left}");
    let samples: i32 = sqlx::query_scalar("select jsonb_array_length(samples) from queue.backfills")
        .fetch_one(&db.pool)
        .await
        .unwrap();
    assert!(samples <= 20, "only the last minutes are kept: {samples}");
    let paused = async {
        pause(&db, id, true).await;
        show(&db, id).await
    };
    assert_eq!(paused.await.estimated_finish, None);
}

#[tokio::test]
async fn changed_settings_hold_from_the_next_claim_on() {
    let db = TestDb::new().await;
    let id = Steps::that(Does::Succeed).backfill(&db, 10, BackfillSettings::default()).await;
    let mut conn = db.pool.acquire().await.unwrap();
    backfill::update_settings(&mut conn, id, |settings| settings.max_running = Some(7)).await.unwrap();
    assert_eq!(show(&db, id).await.settings, BackfillSettings { share: 0.25, max_running: Some(7) });
    let known = settings::load(&mut conn, "default").await.unwrap().backfills[&id];
    assert_eq!((known.share, known.max_running), (0.25, Some(7)));
}
