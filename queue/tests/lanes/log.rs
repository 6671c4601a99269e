//! The log of changes: views begin from a checkpoint of it, and the reconciler compares it with the
//! jobs.

use sqlx::Connection as _;
use weirgate_queue::lanes::reconcile::Discrepancy;
use weirgate_queue::worker::checkpointer::Checkpointer;

use super::*;

#[tokio::test]
async fn late_view_begins_from_a_checkpoint() {
    let db = TestDb::new().await;
    limit(&db, tenant(0), rate(1, 1)).await;
    fill(&db, tenant(0), 2).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    for _ in 0..1100 {
        fill(&db, tenant(1), 1).await;
    }
    assert_eq!(claim(&mut conn, worker, QUEUE, 3).await.unwrap().len(), 3);
    db.until_the_past_is_over().await;
    Checkpointer::default().run_once(&db.pool).await.unwrap();
    db.travel(Duration::from_mins(11)).await;
    db.keep_alive().await;
    for _ in 0..1100 {
        fill(&db, tenant(2), 1).await;
    }
    Checkpointer::default().run_once(&db.pool).await.unwrap();
    let rows: i64 =
        sqlx::query_scalar("select count(*) from queue.lane_log").fetch_one(&db.pool).await.unwrap();
    assert!((1100..1200).contains(&rows), "{rows} rows are left: what the first checkpoint holds is gone");
    assert_no_discrepancy(&db).await;
    let view = QueueView::open(&mut conn, QUEUE).await.unwrap();
    assert!(view.rows_since_checkpoint() < 1100);
    let jobs = claim(&mut conn, worker, QUEUE, 5000).await.unwrap();
    assert_eq!(by_tenant(&jobs), HashMap::from([(tenant(0), 1), (tenant(1), 1098), (tenant(2), 1100)]));
}

#[tokio::test]
async fn wrong_count_is_found_and_corrected() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 3).await;
    assert_no_discrepancy(&db).await;
    sqlx::query(
        "insert into queue.lane_log (queue, tenants, backfills, priorities, states, changes, lowest)
         values ('default', array[$1], '{null}', '{0}', '{running}', '{2}', '{null}')",
    )
    .bind(tenant(0))
    .execute(&db.pool)
    .await
    .unwrap();
    let mut conn = db.pool.acquire().await.unwrap();
    let found = reconcile::run_once(&mut conn, QUEUE).await.unwrap();
    let running =
        Discrepancy::Count { group: (tenant(0), None, 0), state: JobState::Running, logged: 2, actual: 0 };
    assert_eq!(found, [running]);
    assert_no_discrepancy(&db).await;
}

#[tokio::test]
async fn change_by_hand_is_counted() {
    let db = TestDb::new().await;
    let jobs = fill(&db, tenant(0), 4).await;
    let mut conn = db.pool.acquire().await.unwrap();
    control::cancel(&mut conn, jobs[0]).await.unwrap();
    sqlx::query("update queue.jobs set state = 'discarded', finalized_at = queue.now() where id = $1")
        .bind(jobs[1])
        .execute(&db.pool)
        .await
        .unwrap();
    sqlx::query("delete from queue.jobs where id = $1").bind(jobs[2]).execute(&db.pool).await.unwrap();
    assert_no_discrepancy(&db).await;
    let worker = db.register_worker().await;
    assert_eq!(claim(&mut conn, worker, QUEUE, 10).await.unwrap()[0].run.job, jobs[3]);
    assert_no_discrepancy(&db).await;
}

#[tokio::test]
async fn late_view_does_not_read_finished_jobs() {
    let db = TestDb::new().await;
    let worker = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    fill(&db, tenant(0), 3000).await;
    let mut claimer = Claimer::open(&mut conn, QUEUE).await.unwrap();
    for _ in 0..1200 {
        let jobs = claimer.claim(&mut conn, worker, Capacity::of(2)).await.unwrap().jobs;
        complete(&mut conn, &jobs).await;
    }
    Checkpointer::default().run_once(&db.pool).await.unwrap();
    let mut late = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let mut tx = conn.begin().await.unwrap();
    let before = rows_read(&mut tx, "jobs").await;
    assert_eq!(late.claim(&mut tx, worker, Capacity::of(2)).await.unwrap().jobs.len(), 2);
    let read = rows_read(&mut tx, "jobs").await - before;
    assert!(read < 20, "{read} rows of jobs for 2 of them");
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn view_that_reads_many_claims_at_once_knows_how_far_they_came() {
    let db = TestDb::new().await;
    let worker = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let mut claimer = Claimer::open(&mut conn, QUEUE).await.unwrap();
    // Its view is not refreshed in between.
    let mut late = Claimer::open(&mut conn, QUEUE).await.unwrap();
    fill(&db, tenant(0), 1).await;
    for _ in 0..150 {
        fill(&db, tenant(0), 2).await;
        let jobs = claimer.claim(&mut conn, worker, Capacity::of(2)).await.unwrap().jobs;
        complete(&mut conn, &jobs).await;
    }
    let mut tx = conn.begin().await.unwrap();
    let before = rows_read(&mut tx, "jobs").await;
    let jobs = late.claim(&mut tx, worker, Capacity::of(2)).await.unwrap().jobs;
    let read = rows_read(&mut tx, "jobs").await - before;
    assert_eq!(jobs.len(), 1);
    assert!(read < 10, "{read} rows of jobs for one of them");
    tx.rollback().await.unwrap();
}
