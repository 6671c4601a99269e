//! What commits, fails or is locked while a claim is under way.

use sqlx::Connection as _;

use super::*;

#[tokio::test]
async fn job_committed_behind_the_cursor_is_claimed() {
    let db = TestDb::new().await;
    let mut late = db.pool.begin().await.unwrap();
    let late_job = enqueue(&mut late, vec![step(tenant(0))]).await.unwrap()[0].id;
    fill(&db, tenant(0), 5).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut claimer = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let first = claimer.claim(&mut conn, worker, Capacity::of(4)).await.unwrap().jobs;
    late.commit().await.unwrap();
    let found = claimer.claim(&mut conn, worker, Capacity::of(1)).await.unwrap().jobs;
    assert_eq!(found[0].run.job, late_job, "it was enqueued first and committed last");
    // A job that is handed back is the first of its lane again.
    let handed_back = Finish::of(&first[0].run, Outcome::HandedBack);
    finish(&mut conn, vec![handed_back]).await.unwrap();
    let again = claimer.claim(&mut conn, worker, Capacity::of(1)).await.unwrap().jobs;
    assert_eq!(again[0].run.job, first[0].run.job);
    assert_eq!(claimer.claim(&mut conn, worker, Capacity::of(10)).await.unwrap().jobs.len(), 1);
}

#[tokio::test]
async fn job_whose_cancel_commits_is_not_claimed() {
    let db = TestDb::new().await;
    let jobs = fill(&db, tenant(0), 3).await;
    let worker = db.register_worker().await;
    let mut claimer = Claimer::open(&mut db.pool.acquire().await.unwrap(), QUEUE).await.unwrap();
    let mut cancelling = db.pool.begin().await.unwrap();
    assert_eq!(control::cancel(&mut cancelling, jobs[1]).await.unwrap(), JobState::Cancelled);
    let mut conn = db.pool.acquire().await.unwrap();
    let asking = tokio::spawn(async move {
        let claim = claimer.claim(&mut conn, worker, Capacity::of(3)).await.unwrap();
        (claim, claimer, conn)
    });
    db.until_blocked().await;
    cancelling.commit().await.unwrap();
    let (claim, mut claimer, mut conn) = asking.await.unwrap();
    assert!(claim.jobs.is_empty() && claim.poll_again, "it was planned on an outdated view");
    let batch = claimer.claim(&mut conn, worker, Capacity::of(3)).await.unwrap().jobs;
    assert_eq!(batch.iter().map(|job| job.run.job).collect::<Vec<_>>(), [jobs[0], jobs[2]]);
    assert_no_discrepancy(&db).await;
}

#[tokio::test]
async fn cancel_finds_a_claimed_job_whose_row_says_available() {
    let db = TestDb::new().await;
    let jobs = fill(&db, tenant(0), 3).await;
    let worker = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let mut claimer = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let batch = claimer.claim(&mut conn, worker, Capacity::of(2)).await.unwrap().jobs;
    assert_eq!(db.job(jobs[0]).await.state(), JobState::Available, "a claim writes no job");
    assert_eq!(control::cancel(&mut conn, jobs[0]).await.unwrap(), JobState::Running, "it is told to stop");
    let row: (i16, i64, Option<Uuid>) =
        sqlx::query_as("select attempt, run, worker_id from queue.jobs where id = $1")
            .bind(jobs[0])
            .fetch_one(&db.pool)
            .await
            .unwrap();
    assert_eq!(row, (1, 1, Some(worker)));
    assert_eq!(control::cancel(&mut conn, jobs[2]).await.unwrap(), JobState::Cancelled);
    assert_no_discrepancy(&db).await;
    let ended = batch.iter().map(|job| Finish::of(&job.run, Outcome::HandedBack)).collect();
    assert_eq!(finish(&mut conn, ended).await.unwrap().len(), 2);
    assert_eq!(db.job(jobs[0]).await.state(), JobState::Cancelled);
    assert_eq!(db.job(jobs[1]).await.state(), JobState::Available);
    let again = claimer.claim(&mut conn, worker, Capacity::of(3)).await.unwrap().jobs;
    assert_eq!(again.iter().map(|job| (job.run.job, job.run.run)).collect::<Vec<_>>(), [(jobs[1], 2)]);
    assert_no_discrepancy(&db).await;
}

#[tokio::test]
async fn level_that_is_read_again_gives_no_job_out_twice() {
    let db = TestDb::new().await;
    let worker = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let mut late = db.pool.begin().await.unwrap();
    let late_job = enqueue(&mut late, vec![step(tenant(0))]).await.unwrap()[0].id;
    let jobs = fill(&db, tenant(0), 6).await;
    let mut claimers =
        [Claimer::open(&mut conn, QUEUE).await.unwrap(), Claimer::open(&mut conn, QUEUE).await.unwrap()];
    let mut batch = Vec::new();
    for claimer in &mut claimers {
        batch.extend(claimer.claim(&mut conn, worker, Capacity::of(2)).await.unwrap().jobs);
    }
    // All cursors move back before jobs that are claimed, and whose rows say that they are
    // available.
    late.commit().await.unwrap();
    let mut new_claimer = Claimer::open(&mut conn, QUEUE).await.unwrap();
    for claimer in claimers.iter_mut().chain([&mut new_claimer]) {
        batch.extend(claimer.claim(&mut conn, worker, Capacity::of(1)).await.unwrap().jobs);
    }
    let ids: Vec<_> = batch.iter().map(|job| job.run.job).collect();
    assert_eq!(ids, [jobs[0], jobs[1], jobs[2], jobs[3], late_job, jobs[4], jobs[5]]);
    assert_no_discrepancy(&db).await;
}

#[tokio::test]
async fn claim_moves_no_cursor_past_jobs_that_it_could_not_see() {
    let db = TestDb::new().await;
    let worker = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let mut jobs = fill(&db, tenant(0), 1).await;
    let mut late = db.pool.begin().await.unwrap();
    let late_job = enqueue(&mut late, vec![step(tenant(0))]).await.unwrap()[0].id;
    jobs.extend(fill(&db, tenant(0), 4).await);
    let mut claimer = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let mut other_claimer = Claimer::open(&mut conn, QUEUE).await.unwrap();
    // This claim has begun, and waits for its claim sequence number.
    let mut pausing = db.pool.begin().await.unwrap();
    pause_queue(&mut pausing, QUEUE, true).await.unwrap();
    let mut asking_conn = db.pool.acquire().await.unwrap();
    let asking =
        tokio::spawn(
            async move { claimer.claim(&mut asking_conn, worker, Capacity::of(3)).await.unwrap().jobs },
        );
    db.until_blocked().await;
    // Now the other claimer learns of a job, ahead of its cursor, of which that claim knows
    // nothing.
    late.commit().await.unwrap();
    assert!(other_claimer.claim(&mut conn, worker, Capacity::of(0)).await.unwrap().jobs.is_empty());
    pausing.rollback().await.unwrap();
    let batch = asking.await.unwrap();
    assert_eq!(batch.iter().map(|job| job.run.job).collect::<Vec<_>>(), jobs[..3]);
    let rest = other_claimer.claim(&mut conn, worker, Capacity::of(9)).await.unwrap().jobs;
    assert_eq!(rest.iter().map(|job| job.run.job).collect::<Vec<_>>(), [late_job, jobs[3], jobs[4]]);
    assert_no_discrepancy(&db).await;
}

#[tokio::test]
async fn job_committed_between_refresh_and_claim_is_not_lost() {
    let db = TestDb::new().await;
    let worker = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let mut claimer = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let mut late = db.pool.begin().await.unwrap();
    let late_job = enqueue(&mut late, vec![step(tenant(0))]).await.unwrap()[0].id;
    let jobs = fill(&db, tenant(0), 5).await;
    for job in &jobs[..3] {
        assert_eq!(claimer.claim(&mut conn, worker, Capacity::of(1)).await.unwrap().jobs[0].run.job, *job);
    }
    let mut other_claimer = Claimer::open(&mut conn, QUEUE).await.unwrap();
    // The end of a refresh asks for the oldest claim, once a second.
    db.travel(Duration::from_secs(2)).await;
    let mut locked = db.pool.begin().await.unwrap();
    sqlx::query("lock table queue.claims in access exclusive mode").execute(&mut *locked).await.unwrap();
    let mut asking_conn = db.pool.acquire().await.unwrap();
    let asking = tokio::spawn(async move {
        let batch = claimer.claim(&mut asking_conn, worker, Capacity::of(1)).await.unwrap().jobs;
        (claimer, batch)
    });
    db.until_blocked().await;
    // The claim will see the job but was planned without it: it reads from a cursor behind it.
    late.commit().await.unwrap();
    locked.rollback().await.unwrap();
    let (mut claimer, batch) = asking.await.unwrap();
    assert_eq!(batch.iter().map(|job| job.run.job).collect::<Vec<_>>(), jobs[3..4]);
    let rest = [late_job, jobs[4]];
    let mut tx = conn.begin().await.unwrap();
    let found = other_claimer.claim(&mut tx, worker, Capacity::of(9)).await.unwrap().jobs;
    assert_eq!(found.iter().map(|job| job.run.job).collect::<Vec<_>>(), rest);
    tx.rollback().await.unwrap();
    let found = claimer.claim(&mut conn, worker, Capacity::of(9)).await.unwrap().jobs;
    assert_eq!(found.iter().map(|job| job.run.job).collect::<Vec<_>>(), rest);
    assert_no_discrepancy(&db).await;
}

#[tokio::test]
async fn requeued_job_is_claimed_once() {
    let db = TestDb::new().await;
    let worker = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let mut late = db.pool.begin().await.unwrap();
    let late_job = enqueue(&mut late, vec![step(tenant(0))]).await.unwrap()[0].id;
    let jobs = fill(&db, tenant(0), 2).await;
    let mut claimers =
        [Claimer::open(&mut conn, QUEUE).await.unwrap(), Claimer::open(&mut conn, QUEUE).await.unwrap()];
    let all = claimers[0].claim(&mut conn, worker, Capacity::of(2)).await.unwrap().jobs;
    let handed_back = all.iter().map(|job| Finish::of(&job.run, Outcome::HandedBack)).collect();
    finish(&mut conn, handed_back).await.unwrap();
    // They are claimed as requeued jobs, and their rows do not say so.
    assert_eq!(claimers[1].claim(&mut conn, worker, Capacity::of(2)).await.unwrap().jobs.len(), 2);
    late.commit().await.unwrap();
    for (claimer, gets) in claimers.iter_mut().zip([vec![late_job], vec![]]) {
        let batch = claimer.claim(&mut conn, worker, Capacity::of(5)).await.unwrap().jobs;
        assert_eq!(batch.iter().map(|job| job.run.job).collect::<Vec<_>>(), gets, "of {jobs:?}");
    }
    assert_no_discrepancy(&db).await;
}

#[tokio::test]
async fn claim_planned_on_an_outdated_view_changes_nothing() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 2).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut claimer = Claimer::open(&mut conn, QUEUE).await.unwrap();
    // The next claim sequence number is taken by a transaction that commits while the claimer asks
    // for it.
    let mut other = db.pool.begin().await.unwrap();
    pause_queue(&mut other, QUEUE, true).await.unwrap();
    let asking = tokio::spawn(async move {
        let claim = claimer.claim(&mut conn, worker, Capacity::of(2)).await.unwrap();
        (claim, claimer)
    });
    db.until_blocked().await;
    other.commit().await.unwrap();
    let (claim, mut claimer) = asking.await.unwrap();
    assert!(claim.jobs.is_empty() && claim.poll_again);
    let claim = claimer.claim(&mut db.pool.acquire().await.unwrap(), worker, Capacity::of(2)).await.unwrap();
    assert!(claim.jobs.is_empty() && !claim.poll_again, "the queue is paused");
    assert_no_discrepancy(&db).await;
}

#[tokio::test]
async fn claim_whose_answer_was_lost_is_recovered_before_anything_else() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 5).await;
    let worker = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let mut claimer = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let mut other = db.pool.begin().await.unwrap();
    pause_queue(&mut other, QUEUE, true).await.unwrap();
    // The claim has reached the database, and nobody waits for its answer any more.
    tokio::select! {
        _ = claimer.claim(&mut conn, worker, Capacity::of(3)) => panic!("it waits for the other transaction"),
        () = db.until_blocked() => {}
    }
    drop(conn.detach());
    other.rollback().await.unwrap();
    let mut conn = db.pool.acquire().await.unwrap();
    let recovered = loop {
        let running: i64 =
            sqlx::query_scalar("select count(*) from queue.in_flight").fetch_one(&db.pool).await.unwrap();
        if running == 3 {
            break claimer.claim(&mut conn, worker, Capacity::of(5)).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    // Only these are returned: if more were claimed at the same time and that failed, they would be
    // lost again.
    assert_eq!(recovered.jobs.len(), 3);
    assert!(recovered.poll_again);
    complete(&mut conn, &recovered.jobs).await;
    assert_eq!(claimer.claim(&mut conn, worker, Capacity::of(5)).await.unwrap().jobs.len(), 2);
    assert_no_discrepancy(&db).await;
}

#[tokio::test]
async fn requeued_jobs_are_claimed_without_a_search() {
    let db = TestDb::new().await;
    let worker = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let ids = fill(&db, tenant(0), 1010).await;
    let mut claimers =
        [Claimer::open(&mut conn, QUEUE).await.unwrap(), Claimer::open(&mut conn, QUEUE).await.unwrap()];
    for claimer in &mut claimers {
        for _ in 0..5 {
            let jobs = claimer.claim(&mut conn, worker, Capacity::of(100)).await.unwrap().jobs;
            complete(&mut conn, &jobs).await;
        }
    }
    // Two of the first jobs that ran are requeued.
    for n in [3, 7] {
        sqlx::query("update queue.jobs set state = 'available', finalized_at = null where id = $1")
            .bind(ids[n])
            .execute(&db.pool)
            .await
            .unwrap();
    }
    let [first, second] = &mut claimers;
    let mut tx = conn.begin().await.unwrap();
    let before = rows_read(&mut tx, "jobs").await;
    let jobs = first.claim(&mut tx, worker, Capacity::of(4)).await.unwrap().jobs;
    let batch: Vec<_> = jobs.iter().map(|job| job.run.job).collect();
    assert_eq!(batch[..2], [ids[3], ids[7]], "the requeued ones come first, in their order");
    assert_eq!(batch[2..], [ids[1000], ids[1001]]);
    // It reads past the claims of the other claimer once.
    let read = rows_read(&mut tx, "jobs").await - before;
    assert!(read < 600, "{read} rows of jobs for 4 of them");
    tx.commit().await.unwrap();
    // The requeued jobs that another claimer took use up nothing of what this one may start.
    let jobs = second.claim(&mut conn, worker, Capacity::of(3)).await.unwrap().jobs;
    let batch: Vec<_> = jobs.iter().map(|job| job.run.job).collect();
    assert_eq!(batch, [ids[1002], ids[1003], ids[1004]]);
    assert_no_discrepancy(&db).await;
}
