//! A claim writes no job row. The row says that the job runs once it has run for a moment, or as
//! soon as somebody has to know.

use std::time::Duration;

use uuid::Uuid;
use weirgate_queue::lanes::reconcile;
use weirgate_queue::worker::{
    Capacity, Claimer, Finish, Outcome, finish, persist_running, reconciler, rescuer,
};
use weirgate_queue::{JobState, NewJob, read};
use weirgate_test_support::{Does, Probe, Step, TestDb, TestWorker};

/// Claims one job, as a worker does.
async fn take(db: &TestDb, worker: Uuid) -> weirgate_queue::job::RunId {
    let mut conn = db.pool.acquire().await.unwrap();
    let mut claimer = Claimer::open(&mut conn, "default").await.unwrap();
    claimer.claim(&mut conn, worker, Capacity::of(1)).await.unwrap().jobs.remove(0).run
}

async fn times_written(db: &TestDb, job: Uuid) -> i64 {
    sqlx::query_scalar("select times from written where job = $1")
        .bind(job)
        .fetch_one(&db.pool)
        .await
        .unwrap()
}

/// Counts how often each job's row is written from now on.
async fn count_writes(db: &TestDb) {
    sqlx::raw_sql(
        "create table written (job uuid primary key, times bigint not null);
         create function note() returns trigger language plpgsql as $$ begin
             insert into written values (new.id, 1) on conflict (job) do update set times = written.times + 1;
             return new;
         end $$;
         create trigger note after update on queue.jobs for each row execute function note()",
    )
    .execute(&db.pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn quick_job_is_written_once_and_long_job_shows_that_it_runs() {
    let db = TestDb::new().await;
    count_writes(&db).await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start(&db, &probe);
    let long = db.enqueue(Uuid::nil(), &Step::new("long", Does::Gate)).await.id;
    let running = db.until(long, JobState::Running).await;
    assert_eq!((running.attempt, running.run), (1, 1));
    assert_eq!(times_written(&db, long).await, 1);
    let quick: Vec<Uuid> = {
        let mut ids = Vec::new();
        for n in 0..20 {
            ids.push(db.enqueue(Uuid::nil(), &Step::new(&n.to_string(), Does::Succeed)).await.id);
        }
        ids
    };
    let mut written = 0;
    for id in &quick {
        let done = db.until(*id, JobState::Completed).await;
        assert_eq!((done.attempt, done.run), (1, 1));
        written += times_written(&db, *id).await;
    }
    assert!(written < 40, "a busy machine may persist_running some of them, but not all: {written} writes");
    probe.open("long");
    let done = db.until(long, JobState::Completed).await;
    assert_eq!((done.attempt, done.run, done.attempted_at), (1, 1, running.attempted_at));
    assert_eq!(times_written(&db, long).await, 2);
    worker.stop().await;
}

#[tokio::test]
async fn persisting_running_changes_claimed_jobs_alone() {
    let db = TestDb::new().await;
    let worker = db.register_worker().await;
    let job = db.enqueue(Uuid::nil(), &Step::new("a", Does::Succeed)).await.id;
    let run = take(&db, worker).await;
    assert_eq!(db.job(job).await.state(), JobState::Available);
    let mut conn = db.pool.acquire().await.unwrap();
    assert_eq!(read::workers(&mut conn).await.unwrap()[0].running, 1, "it runs, whatever its row says");
    for _ in 0..2 {
        assert!(persist_running(&mut conn, [run.start()].into_iter().collect()).await.unwrap().is_empty());
        let marked = db.job(job).await;
        assert_eq!((marked.state(), marked.run, marked.attempt), (JobState::Running, 1, 1));
        assert_eq!(marked.attempted_at, Some(run.at));
    }
    assert_eq!(read::workers(&mut conn).await.unwrap()[0].running, 1);
    let done = Outcome::Completed { output: serde_json::Value::Null, next: Vec::new() };
    assert_eq!(finish(&mut conn, vec![Finish::of(&run, done)]).await.unwrap().len(), 1);
    assert!(persist_running(&mut conn, [run.start()].into_iter().collect()).await.unwrap().is_empty());
    assert_eq!(db.job(job).await.state(), JobState::Completed, "a late persist_running is nothing");
    assert!(reconcile::run_once(&mut conn, "default").await.unwrap().is_empty());
}

#[tokio::test]
async fn persisting_running_does_not_wait_for_a_locked_job() {
    let db = TestDb::new().await;
    let worker = db.register_worker().await;
    let job = db.enqueue(Uuid::nil(), &Step::new("a", Does::Succeed)).await.id;
    let run = take(&db, worker).await;
    let mut holder = db.pool.begin().await.unwrap();
    sqlx::query("select from queue.jobs where id = $1 for update")
        .bind(job)
        .execute(&mut *holder)
        .await
        .unwrap();
    let mut conn = db.pool.acquire().await.unwrap();
    assert_eq!(persist_running(&mut conn, [run.start()].into_iter().collect()).await.unwrap(), [run.seq]);
    holder.rollback().await.unwrap();
    assert!(persist_running(&mut conn, [run.start()].into_iter().collect()).await.unwrap().is_empty());
    assert_eq!(db.job(job).await.state(), JobState::Running);
}

#[tokio::test]
async fn claimed_job_of_a_dead_worker_is_rescued() {
    let db = TestDb::new().await;
    for (label, attempts, ends) in [("a", 2, JobState::Available), ("b", 1, JobState::Discarded)] {
        let job = NewJob::of(Uuid::nil(), &Step::new(label, Does::Succeed)).unwrap().max_attempts(attempts);
        let job = db.enqueue_new(job.priority(1)).await.id;
        let worker = db.register_worker().await;
        let run = take(&db, worker).await;
        assert_eq!(run.job, job);
        assert_eq!(rescuer::run_once(&db.pool).await.unwrap(), 0, "its lease runs");
        db.travel(Duration::from_secs(61)).await;
        assert_eq!(rescuer::run_once(&db.pool).await.unwrap(), 1);
        let rescued = db.job(job).await;
        assert_eq!((rescued.state(), rescued.run, rescued.attempt), (ends, 1, 1));
        assert_eq!(rescued.errors[0]["code"], "worker_lost");
        let late = Outcome::Completed { output: serde_json::Value::Null, next: Vec::new() };
        let mut conn = db.pool.acquire().await.unwrap();
        assert!(finish(&mut conn, vec![Finish::of(&run, late)]).await.unwrap().is_empty());
        assert!(reconcile::run_once(&mut conn, "default").await.unwrap().is_empty());
        if ends == JobState::Available {
            sqlx::query(
                "update queue.jobs set state = 'cancelled', finalized_at = queue.now() where id = $1",
            )
            .bind(job)
            .execute(&db.pool)
            .await
            .unwrap();
        }
    }
    let claims: i64 =
        sqlx::query_scalar("select count(*) from queue.claims").fetch_one(&db.pool).await.unwrap();
    assert_eq!(claims, 0);
    assert_eq!(reconciler::run_once(&db.pool).await.unwrap(), 0);
}

#[tokio::test]
async fn failed_attempt_that_was_never_persisted_counts_and_is_retried() {
    let db = TestDb::new().await;
    let worker = db.register_worker().await;
    let job = db.enqueue(Uuid::nil(), &Step::new("a", Does::Succeed)).await.id;
    let mut conn = db.pool.acquire().await.unwrap();
    let fails = Outcome::Retry { code: "c".to_owned(), message: "m".to_owned(), delay: Duration::ZERO };
    let ends = [(fails, JobState::Retryable, 1), (Outcome::HandedBack, JobState::Available, 1)];
    for (runs, (outcome, state, attempt)) in (1..).zip(ends) {
        sqlx::query("update queue.jobs set state = 'available' where id = $1 and state = 'retryable'")
            .bind(job)
            .execute(&db.pool)
            .await
            .unwrap();
        let run = take(&db, worker).await;
        assert_eq!((run.run, run.attempt), (runs, u16::try_from(runs).unwrap()));
        assert_eq!(finish(&mut conn, vec![Finish::of(&run, outcome)]).await.unwrap().len(), 1);
        let ended = db.job(job).await;
        assert_eq!((ended.state(), ended.run, ended.attempt), (state, runs, attempt));
        assert_eq!(ended.errors[0]["attempt"], 1);
        assert!(reconcile::run_once(&mut conn, "default").await.unwrap().is_empty());
    }
}
