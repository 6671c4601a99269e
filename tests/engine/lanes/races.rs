//! What commits, fails or is held while a claim is decided.

use sqlx::Connection as _;

use super::*;

#[tokio::test]
async fn what_comes_in_behind_the_cursor_is_found() {
    let db = TestDb::new().await;
    let mut late = db.pool.begin().await.unwrap();
    let late_job = enqueue(&mut late, vec![step(tenant(0))]).await.unwrap()[0].id;
    fill(&db, tenant(0), 5).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let first = host.claim(&mut conn, worker, Room::of(4)).await.unwrap().jobs;
    late.commit().await.unwrap();
    let found = host.claim(&mut conn, worker, Room::of(1)).await.unwrap().jobs;
    assert_eq!(found[0].run.job, late_job, "it was enqueued first and committed last");
    // Handed back, it is the lane's first again.
    let back = Finish::of(&first[0].run, Outcome::HandedBack);
    finish(&mut conn, vec![back]).await.unwrap();
    let again = host.claim(&mut conn, worker, Room::of(1)).await.unwrap().jobs;
    assert_eq!(again[0].run.job, first[0].run.job);
    assert_eq!(host.claim(&mut conn, worker, Room::of(10)).await.unwrap().jobs.len(), 1);
}

#[tokio::test]
async fn a_job_that_is_being_cancelled_is_claimed_by_nobody() {
    let db = TestDb::new().await;
    let jobs = fill(&db, tenant(0), 3).await;
    let worker = db.register_worker().await;
    let mut host = Claimer::open(&mut db.pool.acquire().await.unwrap(), QUEUE).await.unwrap();
    let mut cancelling = db.pool.begin().await.unwrap();
    assert_eq!(control::cancel(&mut cancelling, jobs[1]).await.unwrap(), JobState::Cancelled);
    let mut conn = db.pool.acquire().await.unwrap();
    let asking = tokio::spawn(async move {
        let claim = host.claim(&mut conn, worker, Room::of(3)).await.unwrap();
        (claim, host, conn)
    });
    db.until_blocked().await;
    cancelling.commit().await.unwrap();
    let (claim, mut host, mut conn) = asking.await.unwrap();
    assert!(claim.jobs.is_empty() && claim.again, "it was decided on the picture before");
    let claimed = host.claim(&mut conn, worker, Room::of(3)).await.unwrap().jobs;
    assert_eq!(claimed.iter().map(|job| job.run.job).collect::<Vec<_>>(), [jobs[0], jobs[2]]);
    no_drift(&db).await;
}

#[tokio::test]
async fn a_cancel_knows_what_is_claimed_though_no_row_says_so() {
    let db = TestDb::new().await;
    let jobs = fill(&db, tenant(0), 3).await;
    let worker = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let mut host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let claimed = host.claim(&mut conn, worker, Room::of(2)).await.unwrap().jobs;
    assert_eq!(db.job(jobs[0]).await.state(), JobState::Available, "a claim writes no job");
    assert_eq!(control::cancel(&mut conn, jobs[0]).await.unwrap(), JobState::Running, "it is told to stop");
    let told: (i16, i64, Option<Uuid>) =
        sqlx::query_as("select attempt, run, worker_id from queue.jobs where id = $1")
            .bind(jobs[0])
            .fetch_one(&db.pool)
            .await
            .unwrap();
    assert_eq!(told, (1, 1, Some(worker)));
    assert_eq!(control::cancel(&mut conn, jobs[2]).await.unwrap(), JobState::Cancelled);
    no_drift(&db).await;
    let ended = claimed.iter().map(|job| Finish::of(&job.run, Outcome::HandedBack)).collect();
    assert_eq!(finish(&mut conn, ended).await.unwrap().len(), 2);
    assert_eq!(db.job(jobs[0]).await.state(), JobState::Cancelled);
    assert_eq!(db.job(jobs[1]).await.state(), JobState::Available);
    let again = host.claim(&mut conn, worker, Room::of(3)).await.unwrap().jobs;
    assert_eq!(again.iter().map(|job| (job.run.job, job.run.run)).collect::<Vec<_>>(), [(jobs[1], 2)]);
    no_drift(&db).await;
}

#[tokio::test]
async fn a_lane_that_is_read_again_gives_nothing_out_twice() {
    let db = TestDb::new().await;
    let worker = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let mut late = db.pool.begin().await.unwrap();
    let late_job = enqueue(&mut late, vec![step(tenant(0))]).await.unwrap()[0].id;
    let jobs = fill(&db, tenant(0), 6).await;
    let mut hosts =
        [Claimer::open(&mut conn, QUEUE).await.unwrap(), Claimer::open(&mut conn, QUEUE).await.unwrap()];
    let mut claimed = Vec::new();
    for host in &mut hosts {
        claimed.extend(host.claim(&mut conn, worker, Room::of(2)).await.unwrap().jobs);
    }
    // All go back to before what is claimed, and what is claimed looks as if it waited.
    late.commit().await.unwrap();
    let mut new_host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    for host in hosts.iter_mut().chain([&mut new_host]) {
        claimed.extend(host.claim(&mut conn, worker, Room::of(1)).await.unwrap().jobs);
    }
    let ids: Vec<_> = claimed.iter().map(|job| job.run.job).collect();
    assert_eq!(ids, [jobs[0], jobs[1], jobs[2], jobs[3], late_job, jobs[4], jobs[5]]);
    no_drift(&db).await;
}

#[tokio::test]
async fn a_claim_does_not_move_others_past_what_it_could_not_see() {
    let db = TestDb::new().await;
    let worker = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let mut jobs = fill(&db, tenant(0), 1).await;
    let mut late = db.pool.begin().await.unwrap();
    let late_job = enqueue(&mut late, vec![step(tenant(0))]).await.unwrap()[0].id;
    jobs.extend(fill(&db, tenant(0), 4).await);
    let mut host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let mut other_host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    // A claim that has begun, and waits for its turn.
    let mut turn = db.pool.begin().await.unwrap();
    pause_queue(&mut turn, QUEUE, true).await.unwrap();
    let mut asking_conn = db.pool.acquire().await.unwrap();
    let asking =
        tokio::spawn(async move { host.claim(&mut asking_conn, worker, Room::of(3)).await.unwrap().jobs });
    db.until_blocked().await;
    // Now the other host learns of a job, ahead of its cursor, of which that claim knows nothing.
    late.commit().await.unwrap();
    assert!(other_host.claim(&mut conn, worker, Room::of(0)).await.unwrap().jobs.is_empty());
    turn.rollback().await.unwrap();
    let claimed = asking.await.unwrap();
    assert_eq!(claimed.iter().map(|job| job.run.job).collect::<Vec<_>>(), jobs[..3]);
    let rest = other_host.claim(&mut conn, worker, Room::of(9)).await.unwrap().jobs;
    assert_eq!(rest.iter().map(|job| job.run.job).collect::<Vec<_>>(), [late_job, jobs[3], jobs[4]]);
    no_drift(&db).await;
}

#[tokio::test]
async fn what_commits_between_a_look_and_its_claim_is_lost_to_nobody() {
    let db = TestDb::new().await;
    let worker = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let mut host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let mut late = db.pool.begin().await.unwrap();
    let late_job = enqueue(&mut late, vec![step(tenant(0))]).await.unwrap()[0].id;
    let jobs = fill(&db, tenant(0), 5).await;
    for job in &jobs[..3] {
        assert_eq!(host.claim(&mut conn, worker, Room::of(1)).await.unwrap().jobs[0].run.job, *job);
    }
    let mut other_host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    // The end of a look asks for the oldest claim, now and then.
    db.travel(Duration::from_secs(2)).await;
    let mut locked = db.pool.begin().await.unwrap();
    sqlx::query("lock table queue.claims in access exclusive mode").execute(&mut *locked).await.unwrap();
    let mut asking_conn = db.pool.acquire().await.unwrap();
    let asking = tokio::spawn(async move {
        let claimed = host.claim(&mut asking_conn, worker, Room::of(1)).await.unwrap().jobs;
        (host, claimed)
    });
    db.until_blocked().await;
    // The claim will see it, and does not know of it: it begins behind.
    late.commit().await.unwrap();
    locked.rollback().await.unwrap();
    let (mut host, claimed) = asking.await.unwrap();
    assert_eq!(claimed.iter().map(|job| job.run.job).collect::<Vec<_>>(), jobs[3..4]);
    let rest = [late_job, jobs[4]];
    let mut tx = conn.begin().await.unwrap();
    let found = other_host.claim(&mut tx, worker, Room::of(9)).await.unwrap().jobs;
    assert_eq!(found.iter().map(|job| job.run.job).collect::<Vec<_>>(), rest);
    tx.rollback().await.unwrap();
    let found = host.claim(&mut conn, worker, Room::of(9)).await.unwrap().jobs;
    assert_eq!(found.iter().map(|job| job.run.job).collect::<Vec<_>>(), rest);
    no_drift(&db).await;
}

#[tokio::test]
async fn what_came_back_and_is_claimed_again_is_not_met_a_second_time() {
    let db = TestDb::new().await;
    let worker = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let mut late = db.pool.begin().await.unwrap();
    let late_job = enqueue(&mut late, vec![step(tenant(0))]).await.unwrap()[0].id;
    let jobs = fill(&db, tenant(0), 2).await;
    let mut hosts =
        [Claimer::open(&mut conn, QUEUE).await.unwrap(), Claimer::open(&mut conn, QUEUE).await.unwrap()];
    let all = hosts[0].claim(&mut conn, worker, Room::of(2)).await.unwrap().jobs;
    let back = all.iter().map(|job| Finish::of(&job.run, Outcome::HandedBack)).collect();
    finish(&mut conn, back).await.unwrap();
    // Taken as jobs that came back, and not marked.
    assert_eq!(hosts[1].claim(&mut conn, worker, Room::of(2)).await.unwrap().jobs.len(), 2);
    late.commit().await.unwrap();
    for (host, gets) in hosts.iter_mut().zip([vec![late_job], vec![]]) {
        let claimed = host.claim(&mut conn, worker, Room::of(5)).await.unwrap().jobs;
        assert_eq!(claimed.iter().map(|job| job.run.job).collect::<Vec<_>>(), gets, "of {jobs:?}");
    }
    no_drift(&db).await;
}

#[tokio::test]
async fn a_claim_decided_on_an_outdated_picture_changes_nothing() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 2).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    // The next turn is being taken, and commits while the host asks for it.
    let mut other = db.pool.begin().await.unwrap();
    pause_queue(&mut other, QUEUE, true).await.unwrap();
    let asking = tokio::spawn(async move {
        let claim = host.claim(&mut conn, worker, Room::of(2)).await.unwrap();
        (claim, host)
    });
    db.until_blocked().await;
    other.commit().await.unwrap();
    let (claim, mut host) = asking.await.unwrap();
    assert!(claim.jobs.is_empty() && claim.again);
    let claim = host.claim(&mut db.pool.acquire().await.unwrap(), worker, Room::of(2)).await.unwrap();
    assert!(claim.jobs.is_empty() && !claim.again, "the queue is paused");
    no_drift(&db).await;
}

#[tokio::test]
async fn an_answer_that_was_lost_is_taken_up_before_anything_else() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 5).await;
    let worker = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let mut host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let mut other = db.pool.begin().await.unwrap();
    pause_queue(&mut other, QUEUE, true).await.unwrap();
    // The claim has reached the database, and nobody waits for its answer any more.
    tokio::select! {
        _ = host.claim(&mut conn, worker, Room::of(3)) => panic!("it waits for the other turn"),
        () = db.until_blocked() => {}
    }
    drop(conn.detach());
    other.rollback().await.unwrap();
    let mut conn = db.pool.acquire().await.unwrap();
    let taken_up = loop {
        let running: i64 =
            sqlx::query_scalar("select count(*) from queue.in_flight").fetch_one(&db.pool).await.unwrap();
        if running == 3 {
            break host.claim(&mut conn, worker, Room::of(5)).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    // Only these: were more asked for at the same time and that failed, they would be lost again.
    assert_eq!(taken_up.jobs.len(), 3);
    assert!(taken_up.again);
    complete(&mut conn, &taken_up.jobs).await;
    assert_eq!(host.claim(&mut conn, worker, Room::of(5)).await.unwrap().jobs.len(), 2);
    no_drift(&db).await;
}

#[tokio::test]
async fn jobs_that_come_back_are_found_without_a_search() {
    let db = TestDb::new().await;
    let worker = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let ids = fill(&db, tenant(0), 1010).await;
    let mut hosts =
        [Claimer::open(&mut conn, QUEUE).await.unwrap(), Claimer::open(&mut conn, QUEUE).await.unwrap()];
    for host in &mut hosts {
        for _ in 0..5 {
            let jobs = host.claim(&mut conn, worker, Room::of(100)).await.unwrap().jobs;
            complete(&mut conn, &jobs).await;
        }
    }
    // Of the first that ran, two come back.
    for n in [3, 7] {
        sqlx::query("update queue.jobs set state = 'available', finalized_at = null where id = $1")
            .bind(ids[n])
            .execute(&db.pool)
            .await
            .unwrap();
    }
    let [first, second] = &mut hosts;
    let mut tx = conn.begin().await.unwrap();
    let before = rows_read(&mut tx, "jobs").await;
    let jobs = first.claim(&mut tx, worker, Room::of(4)).await.unwrap().jobs;
    let claimed: Vec<_> = jobs.iter().map(|job| job.run.job).collect();
    assert_eq!(claimed[..2], [ids[3], ids[7]], "in their order");
    assert_eq!(claimed[2..], [ids[1000], ids[1001]]);
    // It has read past the claims of the other once before.
    let read = rows_read(&mut tx, "jobs").await - before;
    assert!(read < 600, "{read} rows of jobs for 4 of them");
    tx.commit().await.unwrap();
    // What another host took costs this one nothing that it may start.
    let jobs = second.claim(&mut conn, worker, Room::of(3)).await.unwrap().jobs;
    let claimed: Vec<_> = jobs.iter().map(|job| job.run.job).collect();
    assert_eq!(claimed, [ids[1002], ids[1003], ids[1004]]);
    no_drift(&db).await;
}
