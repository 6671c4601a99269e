//! Keys that take the place of others.

use uuid::Uuid;
use weirgate_queue::private::{self, Resealed};
use weirgate_queue::{JobState, NewJob, control};
use weirgate_test_support::{Does, Step, TestDb, TestKeys};

use super::{Act, Office, SECRET, letter, step};

/// Walks over all, `limit` at a time; returns how many were sealed anew and which jobs cannot be
/// opened.
async fn walk(db: &TestDb, keys: &TestKeys, limit: i64) -> (u64, Vec<Uuid>) {
    let mut conn = db.pool.acquire().await.unwrap();
    let (mut resealed, mut unreadable, mut after) = (0, Vec::new(), 0);
    loop {
        let step = private::reseal(&mut conn, keys, after, limit).await.unwrap();
        resealed += step.resealed;
        unreadable.extend(step.unreadable);
        match step.next {
            Some(next) => after = next,
            None => return (resealed, unreadable),
        }
    }
}

#[tokio::test]
async fn what_an_old_key_has_sealed_is_sealed_anew_once_and_read_by_the_new_one_alone() {
    let db = TestDb::new().await;
    for _ in 0..5 {
        db.enqueue_new(letter(Act::Send)).await;
    }
    let both = TestKeys::rotated(2, &[1]);
    assert_eq!(walk(&db, &both, 2).await, (5, vec![]));
    assert_eq!(walk(&db, &both, 2).await, (0, vec![]));
    let office = Office::of(&db);
    let jobs: Vec<Uuid> = sqlx::query_scalar("select id from queue.jobs").fetch_all(&db.pool).await.unwrap();
    let worker = office.worker(&db, Some(TestKeys::new(2)));
    for job in jobs {
        db.until(job, JobState::Completed).await;
    }
    worker.stop().await;
    assert_eq!(office.read(), vec![SECRET.to_owned(); 5]);
}

#[tokio::test]
async fn values_of_an_unknown_key_are_named_and_left_as_they_are() {
    let db = TestDb::new().await;
    let readable = db.enqueue_new(step("readable")).await.id;
    let foreign = NewJob::of(Uuid::nil(), &Step::new("foreign", Does::Succeed)).unwrap();
    let foreign = foreign.private(&*TestKeys::new(9), SECRET).unwrap();
    let foreign = db.enqueue_new(foreign).await.id;
    assert_eq!(walk(&db, &TestKeys::rotated(2, &[1]), 100).await, (1, vec![foreign]));
    let keys: Vec<(Uuid, i32)> = sqlx::query_as(
        "select id, get_byte(sealed, 0) from queue.private_args join queue.jobs using (seq) order by seq",
    )
    .fetch_all(&db.pool)
    .await
    .unwrap();
    assert_eq!(keys, [(readable, 2), (foreign, 9)]);
}

#[tokio::test]
async fn job_that_ends_while_it_is_sealed_anew_leaves_nothing() {
    let db = TestDb::new().await;
    let (first, second) = (db.enqueue_new(step("first")).await.id, db.enqueue_new(step("second")).await.id);
    // The job is cancelled in a transaction that has not committed when the walk comes to it.
    let mut tx = db.pool.begin().await.unwrap();
    control::cancel(&mut tx, first).await.unwrap();
    let pool = db.pool.clone();
    let walk = tokio::spawn(async move {
        let mut conn = pool.acquire().await.unwrap();
        private::reseal(&mut conn, &*TestKeys::rotated(2, &[1]), 0, 100).await.unwrap()
    });
    db.until_blocked().await;
    tx.commit().await.unwrap();
    let Resealed { resealed, unreadable, .. } = walk.await.unwrap();
    assert_eq!((resealed, unreadable), (1, vec![]));
    assert_eq!(super::holders(&db).await, [second]);
}

#[tokio::test]
async fn a_program_learns_whether_it_needs_a_key() {
    let db = TestDb::new().await;
    let mut conn = db.pool.acquire().await.unwrap();
    db.enqueue(Uuid::nil(), &Step::new("plain", Does::Succeed)).await;
    assert!(!private::any(&mut conn).await.unwrap());
    let job = db.enqueue_new(step("private")).await.id;
    assert!(private::any(&mut conn).await.unwrap());
    control::cancel(&mut conn, job).await.unwrap();
    assert!(!private::any(&mut conn).await.unwrap());
}
