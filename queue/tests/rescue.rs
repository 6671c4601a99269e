//! Workers that die, hang and stop: no job that they held is lost.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::worker::claim;
use weirgate_queue::worker::{reconciler, rescuer};
use weirgate_queue::{JobState, NewJob};
use weirgate_test_support::{Does, Probe, Step, TestDb, TestWorker};

#[tokio::test]
async fn jobs_of_a_dead_worker_are_rescued_and_those_of_a_live_one_are_not() {
    let db = TestDb::new().await;
    let (dead, alive) = (db.register_worker().await, db.register_worker().await);
    let lost = db.enqueue(Uuid::nil(), &Step::new("lost", Does::Succeed)).await.id;
    let mut conn = db.pool.acquire().await.unwrap();
    claim(&mut conn, dead, "default", 1).await.unwrap();
    let kept = db.enqueue(Uuid::nil(), &Step::new("kept", Does::Succeed)).await.id;
    claim(&mut conn, alive, "default", 1).await.unwrap();
    assert_eq!(rescuer::run_once(&db.pool).await.unwrap(), 0, "both leases run");
    sqlx::query("update queue.workers set lease_until = queue.now() where id = $1")
        .bind(dead)
        .execute(&db.pool)
        .await
        .unwrap();
    assert_eq!(rescuer::run_once(&db.pool).await.unwrap(), 1);
    let rescued = db.job(lost).await;
    assert_eq!(rescued.state(), JobState::Available);
    assert_eq!(rescued.errors[0]["code"], "worker_lost");
    assert_eq!(db.job(kept).await.state(), JobState::Running);
}

#[tokio::test]
async fn job_that_kills_its_workers_is_discarded() {
    let db = TestDb::new().await;
    let job = NewJob::of(Uuid::nil(), &Step::new("killer", Does::Succeed)).unwrap().max_attempts(2);
    let job = db.enqueue_new(job).await.id;
    for expected in [JobState::Available, JobState::Discarded] {
        let worker = db.register_worker().await;
        claim(&mut db.pool.acquire().await.unwrap(), worker, "default", 1).await.unwrap();
        db.travel(Duration::from_secs(61)).await;
        rescuer::run_once(&db.pool).await.unwrap();
        assert_eq!(db.job(job).await.state(), expected);
    }
}

#[tokio::test]
async fn worker_suspended_past_its_lease_drops_its_jobs_and_takes_a_new_lease() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start_with(&db, &probe, |config| config.lease = Duration::from_secs(3));
    let job = db.enqueue(Uuid::nil(), &Step::new("a", Does::Gate)).await.id;
    let first = db.until(job, JobState::Running).await;
    probe.until_started(1).await;
    db.travel(Duration::from_hours(1)).await;
    // The same process runs the job again, under its next run token.
    loop {
        let again = db.until(job, JobState::Running).await;
        if again.run > first.run && probe.started().len() == 2 {
            break;
        }
    }
    probe.open("a");
    probe.open("a");
    let done = db.until(job, JobState::Completed).await;
    assert_eq!(done.run, first.run + 1);
    worker.stop().await;
}

#[tokio::test]
async fn worker_whose_jobs_hold_all_connections_keeps_its_lease() {
    let db = TestDb::new().await;
    let leased = async |conn: &mut PgConnection| -> Option<Uuid> {
        let sql = "select id from queue.workers where lease_until > queue.now()";
        sqlx::query_scalar(sql).fetch_optional(conn).await.unwrap()
    };
    let worker = TestWorker::start_with(&db, &Probe::new(db.pool.clone()), |config| {
        config.lease = Duration::from_secs(2);
    });
    let mut held = vec![db.pool.acquire().await.unwrap()];
    let lease = loop {
        if let Some(lease) = leased(&mut held[0]).await {
            break lease;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    // One connection listens for notifications.
    while held.len() + 1 < db.pool.options().get_max_connections() as usize {
        held.push(db.pool.acquire().await.unwrap());
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(leased(&mut held[0]).await, Some(lease));
    drop(held);
    worker.stop().await;
}

#[tokio::test]
async fn stopping_worker_awaits_running_jobs_and_claims_no_more() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start(&db, &probe);
    let running = db.enqueue(Uuid::nil(), &Step::new("running", Does::Gate)).await.id;
    probe.until_started(1).await;
    worker.tell_to_stop();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let late = db.enqueue(Uuid::nil(), &Step::new("late", Does::Succeed)).await.id;
    tokio::time::sleep(Duration::from_millis(300)).await;
    // On a busy machine, its row says so later.
    db.until(running, JobState::Running).await;
    probe.open("running");
    worker.ended().await;
    assert_eq!(db.job(running).await.state(), JobState::Completed);
    assert_eq!(db.job(late).await.state(), JobState::Available);
    let workers: i64 =
        sqlx::query_scalar("select count(*) from queue.workers").fetch_one(&db.pool).await.unwrap();
    assert_eq!(workers, 0, "the lease is given up");
}

#[tokio::test]
async fn job_that_outlasts_the_grace_period_is_handed_back_without_counting_an_attempt() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start_with(&db, &probe, |config| {
        config.grace = Duration::from_millis(200);
        config.concurrency = 1.into();
    });
    let stuck = db.enqueue(Uuid::nil(), &Step::new("stuck", Does::Gate)).await.id;
    let queued = db.enqueue(Uuid::nil(), &Step::new("queued", Does::Gate)).await.id;
    db.until(stuck, JobState::Running).await;
    worker.stop().await;
    for job in [stuck, queued] {
        let job = db.job(job).await;
        assert_eq!((job.state(), job.attempt), (JobState::Available, 0));
    }
}

#[tokio::test]
async fn worker_survives_a_database_restart() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start(&db, &probe);
    let running = db.enqueue(Uuid::nil(), &Step::new("running", Does::Gate)).await.id;
    db.until(running, JobState::Running).await;
    for _ in 0..3 {
        sqlx::query(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()",
        )
        .execute(&db.pool)
        .await
        .unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    probe.open("running");
    db.until(running, JobState::Completed).await;
    let next = db.enqueue(Uuid::nil(), &Step::new("next", Does::Succeed)).await.id;
    db.until(next, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn stopping_worker_does_not_hand_back_cancelled_jobs() {
    let db = TestDb::new().await;
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    let leased =
        async || sqlx::query_scalar::<_, Uuid>("select id from queue.workers").fetch_optional(&db.pool).await;
    let id = loop {
        if let Some(id) = leased().await.unwrap() {
            break id;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    // The database has it as running, but nothing in the process runs it any more.
    let job = NewJob::of(Uuid::nil(), &Step::new("a", Does::Succeed)).unwrap().delay(Duration::from_hours(1));
    let job = db.enqueue_new(job).await.id;
    sqlx::query(
        "with running as (
             update queue.jobs set state = 'running', run = 1, attempt = 1, worker_id = $2,
                 cancel_requested_at = queue.now()
             where id = $1 returning seq)
         insert into queue.claims (worker_id, queue, claim_seq, jobs, runs) select $2, 'default', 0, array[seq], array[1] from running",
    )
    .bind(job)
    .bind(id)
    .execute(&db.pool)
    .await
    .unwrap();
    worker.stop().await;
    assert_eq!(db.job(job).await.state(), JobState::Running);
    assert_eq!(rescuer::run_once(&db.pool).await.unwrap(), 1);
    assert_eq!(db.job(job).await.state(), JobState::Cancelled);
}

#[tokio::test]
async fn claims_row_is_deleted_when_its_jobs_have_ended() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start_with(&db, &probe, |config| config.lease = Duration::from_secs(3));
    let gate = db.enqueue(Uuid::nil(), &Step::new("gate", Does::Gate)).await.id;
    probe.until_started(1).await;
    for n in 0..20 {
        let job = db.enqueue(Uuid::nil(), &Step::new(&n.to_string(), Does::Succeed)).await.id;
        db.until(job, JobState::Completed).await;
    }
    let rows = async || -> Vec<Vec<i64>> {
        sqlx::query_scalar("select jobs from queue.claims").fetch_all(&db.pool).await.unwrap()
    };
    // It is deleted with the next heartbeat at the latest.
    let seq: i64 = sqlx::query_scalar("select seq from queue.jobs where id = $1")
        .bind(gate)
        .fetch_one(&db.pool)
        .await
        .unwrap();
    while rows().await != [vec![seq]] {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    probe.open("gate");
    db.until(gate, JobState::Completed).await;
    worker.stop().await;
    assert!(rows().await.is_empty());
}

#[tokio::test]
async fn running_job_without_a_claim_is_found_by_the_reconciler() {
    let db = TestDb::new().await;
    let job = db.enqueue(Uuid::nil(), &Step::new("a", Does::Succeed)).await.id;
    sqlx::query(
        "update queue.jobs set state = 'running', run = 1, attempt = 1, worker_id = gen_random_uuid()",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    assert_eq!(rescuer::run_once(&db.pool).await.unwrap(), 0, "it cannot know");
    assert_eq!(reconciler::run_once(&db.pool).await.unwrap(), 1);
    assert_eq!(reconciler::run_once(&db.pool).await.unwrap(), 0);
    assert_eq!(rescuer::run_once(&db.pool).await.unwrap(), 1);
    assert_eq!(db.job(job).await.state(), JobState::Available);
}
