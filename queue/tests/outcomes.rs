//! Outcomes that Postgres refuses: each is written in the end, or tried again for as long as its
//! worker runs.

use uuid::Uuid;
use weirgate_queue::{JobState, NewJob};
use weirgate_test_support::{Does, Probe, Step, TestDb, TestWorker};

/// Makes Postgres refuse to write the end of `job`, with this SQLSTATE.
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
async fn refused_outcome_is_written_once_possible_and_holds_up_no_other() {
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
    // A server that takes no writes refuses all of them, so the others wait with that outcome. They
    // do not wait for outcomes that are refused alone.
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
async fn worker_closes_despite_a_refused_outcome_and_the_job_runs_again() {
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
