//! Outcomes that Postgres does not take: each is written, or tried again for as long as its worker runs.

use uuid::Uuid;
use weirgate_queue::{JobState, NewJob};

use crate::support::{Does, Probe, Step, TestDb, TestWorker};

/// Has Postgres refuse to write that the job has ended, for that reason.
async fn refuse(db: &TestDb, job: Uuid, sqlstate: &str) {
    let name = format!("refuse_{sqlstate}");
    let sql = format!(
        "create function {name}() returns trigger language plpgsql as
         $$ begin raise exception 'not now' using errcode = '{sqlstate}'; end $$;
         create trigger {name} before update on queue.jobs for each row
         when (new.id = '{job}' and new.state in ('completed', 'discarded')) execute function {name}();"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&db.pool).await.unwrap();
}

#[tokio::test]
async fn what_is_refused_for_whatever_reason_is_written_once_it_can_be_and_holds_up_nobody() {
    let db = TestDb::new().await;
    let reasons =
        [("25006", JobState::Completed), ("P0001", JobState::Completed), ("23514", JobState::Discarded)];
    let mut refused = Vec::new();
    for (sqlstate, in_the_end) in reasons {
        let job = db.enqueue(Uuid::nil(), &Step::new(sqlstate, Does::Succeed)).await.id;
        refuse(&db, job, sqlstate).await;
        refused.push((job, in_the_end));
    }
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start(&db, &probe);
    probe.until_started(refused.len()).await;
    // A server that takes no writes takes none, so that the others wait for that one; not for those that it alone refuses.
    sqlx::query("drop trigger refuse_25006 on queue.jobs").execute(&db.pool).await.unwrap();
    for n in 0..5 {
        let other = NewJob::of(Uuid::nil(), &Step::new(&n.to_string(), Does::Succeed)).unwrap();
        let other = db.enqueue_new(other).await.id;
        db.until(other, JobState::Completed).await;
    }
    db.until(refused[0].0, JobState::Completed).await;
    for (job, _) in &refused[1..] {
        assert_ne!(db.job(*job).await.state(), JobState::Discarded, "it is not given up");
    }
    sqlx::raw_sql("drop trigger refuse_p0001 on queue.jobs; drop trigger refuse_23514 on queue.jobs")
        .execute(&db.pool)
        .await
        .unwrap();
    for (job, in_the_end) in refused {
        let ended = db.until(job, in_the_end).await;
        assert_eq!(ended.attempt, 1, "it ran once");
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_ends_though_an_outcome_is_refused_and_the_job_runs_again() {
    let db = TestDb::new().await;
    let job = db.enqueue(Uuid::nil(), &Step::new("a", Does::Succeed)).await.id;
    refuse(&db, job, "P0001").await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start(&db, &probe);
    probe.until_started(1).await;
    worker.stop().await;
    sqlx::query("drop trigger refuse_p0001 on queue.jobs").execute(&db.pool).await.unwrap();
    let worker = TestWorker::start(&db, &probe);
    probe.until_started(2).await;
    db.until(job, JobState::Completed).await;
    worker.stop().await;
}
