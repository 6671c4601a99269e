//! Rates, `max_running` and pauses hold over all claimers.

use super::*;

#[tokio::test]
async fn rate_holds_over_all_claimers() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 30).await;
    limit(&db, tenant(0), rate(10, 4)).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut claimers =
        [Claimer::open(&mut conn, QUEUE).await.unwrap(), Claimer::open(&mut conn, QUEUE).await.unwrap()];
    let mut starts = Vec::new();
    for round in 0..14 {
        for claimer in &mut claimers {
            let claim = claimer.claim(&mut conn, worker, Capacity::of(10)).await.unwrap();
            starts.push(claim.jobs.len());
        }
        if round < 13 {
            // 100 ms allow one more start.
            db.travel(Duration::from_millis(100)).await;
        }
    }
    // Real time goes on under the shifted clock, so that more than the burst may be allowed, but
    // never more than the rate.
    let times: Vec<DateTime<Utc>> =
        sqlx::query_scalar("select at from queue.in_flight order by 1").fetch_all(&db.pool).await.unwrap();
    assert_eq!(times.len(), starts.iter().sum::<usize>());
    assert!(times.len() >= 4 + 13, "burst and one start each 100 ms: {starts:?}");
    for (i, from) in times.iter().enumerate() {
        for (j, to) in times.iter().enumerate().skip(i) {
            let allowed = 4 + (*to - *from).num_milliseconds() / 100;
            assert!(i64::try_from(j - i + 1).unwrap() <= allowed, "{} starts in {}", j - i + 1, *to - *from);
        }
    }
    assert_no_discrepancy(&db).await;
}

#[tokio::test]
async fn throttled_lane_holds_up_no_other_and_says_when_it_starts_again() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 1000).await;
    limit(
        &db,
        tenant(0),
        LaneLimits { rate: Some(Rate { rate: 1, period_ms: 60_000, burst: 2 }), ..LaneLimits::default() },
    )
    .await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut claimer = Claimer::open(&mut conn, QUEUE).await.unwrap();
    assert_eq!(claimer.claim(&mut conn, worker, Capacity::of(100)).await.unwrap().jobs.len(), 2);
    fill(&db, tenant(1), 3).await;
    let claim = claimer.claim(&mut conn, worker, Capacity::of(100)).await.unwrap();
    assert_eq!(by_tenant(&claim.jobs), HashMap::from([(tenant(1), 3)]));
    let due = claim.next_due.expect("the lane may start again");
    assert!((due - claim.now).num_seconds() <= 60);
    let Some(Blocked::Throttled(until)) = claimer.view().explain(tenant(0), None) else {
        panic!("it is throttled")
    };
    assert!(until <= due && (due - until).num_milliseconds() <= 5);
    db.travel(Duration::from_mins(1)).await;
    db.keep_alive().await;
    assert_eq!(claimer.claim(&mut conn, worker, Capacity::of(100)).await.unwrap().jobs.len(), 1);
}

#[tokio::test]
async fn max_running_holds_over_all_claimers_and_is_given_back_by_finish_and_rescue() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 20).await;
    limit(&db, tenant(0), at_most(3)).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let (worker, lost) = (db.register_worker().await, db.register_worker().await);
    let mut first = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let mut second = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let running = first.claim(&mut conn, worker, Capacity::of(2)).await.unwrap().jobs;
    assert_eq!(running.len(), 2);
    assert_eq!(second.claim(&mut conn, lost, Capacity::of(10)).await.unwrap().jobs.len(), 1);
    assert!(first.claim(&mut conn, worker, Capacity::of(10)).await.unwrap().jobs.is_empty());
    assert_eq!(first.view().explain(tenant(0), None), Some(Blocked::LaneFull { max_running: 3 }));
    complete(&mut conn, &running).await;
    assert_eq!(second.claim(&mut conn, worker, Capacity::of(10)).await.unwrap().jobs.len(), 2);
    sqlx::query("update queue.workers set lease_until = queue.now() where id = $1")
        .bind(lost)
        .execute(&db.pool)
        .await
        .unwrap();
    assert_eq!(worker::rescuer::run_once(&db.pool).await.unwrap(), 1);
    assert_eq!(first.claim(&mut conn, worker, Capacity::of(10)).await.unwrap().jobs.len(), 1);
    assert_no_discrepancy(&db).await;
}

#[tokio::test]
async fn concurrent_claims_never_exceed_a_limit() {
    let db = TestDb::new().await;
    for n in 0..4 {
        fill(&db, tenant(n), 50).await;
        limit(&db, tenant(n), at_most(5)).await;
    }
    let worker = db.register_worker().await;
    let claimers = (0..6).map(|_| {
        let pool = db.pool.clone();
        tokio::spawn(async move {
            let mut conn = pool.acquire().await.unwrap();
            let mut claimer = Claimer::open(&mut conn, QUEUE).await.unwrap();
            let mut batch = Vec::new();
            loop {
                let claim = claimer.claim(&mut conn, worker, Capacity::of(3)).await.unwrap();
                batch.extend(claim.jobs);
                if !claim.poll_again {
                    return batch;
                }
            }
        })
    });
    let mut jobs = Vec::new();
    for claimer in claimers.collect::<Vec<_>>() {
        jobs.extend(claimer.await.unwrap());
    }
    assert_eq!(by_tenant(&jobs), (0..4).map(|n| (tenant(n), 5)).collect());
    assert_no_discrepancy(&db).await;
}

#[tokio::test]
async fn paused_queue_or_lane_starts_nothing_until_it_is_resumed() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 2).await;
    fill(&db, tenant(1), 1).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut claimer = Claimer::open(&mut conn, QUEUE).await.unwrap();
    pause_queue(&mut db.pool.acquire().await.unwrap(), QUEUE, true).await.unwrap();
    assert!(claimer.claim(&mut conn, worker, Capacity::of(10)).await.unwrap().jobs.is_empty());
    assert_eq!(claimer.view().explain(tenant(0), None), Some(Blocked::QueuePaused));
    pause_queue(&mut db.pool.acquire().await.unwrap(), QUEUE, false).await.unwrap();
    let paused = LaneSettings { paused: true, limits: None };
    change_lane(&mut db.pool.acquire().await.unwrap(), QUEUE, tenant(0), paused.into()).await.unwrap();
    let jobs = claimer.claim(&mut conn, worker, Capacity::of(10)).await.unwrap().jobs;
    assert_eq!(by_tenant(&jobs), HashMap::from([(tenant(1), 1)]));
    assert_eq!(claimer.view().explain(tenant(0), None), Some(Blocked::LanePaused));
    change_lane(&mut conn, QUEUE, tenant(0), LaneSettings::default().into()).await.unwrap();
    assert_eq!(claimer.claim(&mut conn, worker, Capacity::of(10)).await.unwrap().jobs.len(), 2);
}

#[tokio::test]
async fn queue_limits_hold_over_all_lanes_and_defaults_for_each() {
    let db = TestDb::new().await;
    for n in 0..3 {
        fill(&db, tenant(n), 10).await;
    }
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let limits = QueueLimits { rate: None, max_running: Some(5) };
    change_queue(&mut conn, QUEUE, QueueChange::to(limits, at_most(2))).await.unwrap();
    let mut claimer = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let jobs = claimer.claim(&mut conn, worker, Capacity::of(100)).await.unwrap().jobs;
    assert_eq!(jobs.len(), 5);
    assert!(by_tenant(&jobs).values().all(|count| *count <= 2));
    let view = QueueView::open(&mut conn, QUEUE).await.unwrap();
    assert_eq!(view.explain(tenant(0), None), Some(Blocked::QueueFull { max_running: 5 }));
    let limits = QueueLimits { rate: Some(Rate { rate: 1, period_ms: 60_000, burst: 3 }), max_running: None };
    change_queue(&mut conn, QUEUE, QueueChange::to(limits, LaneLimits::default())).await.unwrap();
    assert_eq!(claimer.claim(&mut conn, worker, Capacity::of(100)).await.unwrap().jobs.len(), 3);
    assert!(claimer.claim(&mut conn, worker, Capacity::of(100)).await.unwrap().jobs.is_empty());
}

#[tokio::test]
async fn changed_setting_counts_from_the_next_claim_of_any_claimer() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 10).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut claimer = Claimer::open(&mut conn, QUEUE).await.unwrap();
    // The claimer's view does not know of the change, which has taken a claim sequence number,
    // though.
    limit(&db, tenant(0), at_most(1)).await;
    assert_eq!(claimer.claim(&mut conn, worker, Capacity::of(10)).await.unwrap().jobs.len(), 1);
    limit(&db, tenant(0), LaneLimits::default()).await;
    assert_eq!(claimer.claim(&mut conn, worker, Capacity::of(10)).await.unwrap().jobs.len(), 9);
}
