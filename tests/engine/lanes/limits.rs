//! Rates, `max_running` and pauses hold over all hosts.

use super::*;

#[tokio::test]
async fn a_rate_holds_over_all_hosts() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 30).await;
    limit(&db, tenant(0), rate(10, 4)).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut hosts =
        [Claimer::open(&mut conn, QUEUE).await.unwrap(), Claimer::open(&mut conn, QUEUE).await.unwrap()];
    let mut starts = Vec::new();
    for turn in 0..14 {
        for host in &mut hosts {
            let claim = host.claim(&mut conn, worker, Room::of(10)).await.unwrap();
            starts.push(claim.jobs.len());
        }
        if turn < 13 {
            // The clock stands still but for this; 100 ms are one start.
            db.travel(Duration::from_millis(100)).await;
        }
    }
    // Real time goes on under the shifted clock, so more than the burst may have come due, but never more than the rate.
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
    no_drift(&db).await;
}

#[tokio::test]
async fn a_throttled_lane_holds_nobody_up_and_says_when_it_goes_on() {
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
    let mut host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    assert_eq!(host.claim(&mut conn, worker, Room::of(100)).await.unwrap().jobs.len(), 2);
    fill(&db, tenant(1), 3).await;
    let claim = host.claim(&mut conn, worker, Room::of(100)).await.unwrap();
    assert_eq!(by_tenant(&claim.jobs), HashMap::from([(tenant(1), 3)]));
    let due = claim.next_due.expect("the lane comes due");
    assert!((due - claim.now).num_seconds() <= 60);
    let Some(Blocked::Throttled(until)) = host.book().explain(tenant(0), None) else {
        panic!("it is throttled")
    };
    assert!(until <= due && (due - until).num_milliseconds() <= 5);
    db.travel(Duration::from_mins(1)).await;
    db.keep_alive().await;
    assert_eq!(host.claim(&mut conn, worker, Room::of(100)).await.unwrap().jobs.len(), 1);
}

#[tokio::test]
async fn max_running_holds_over_all_hosts_and_comes_back_with_the_finish_and_the_rescue() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 20).await;
    limit(&db, tenant(0), most(3)).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let (worker, lost) = (db.register_worker().await, db.register_worker().await);
    let mut first = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let mut second = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let running = first.claim(&mut conn, worker, Room::of(2)).await.unwrap().jobs;
    assert_eq!(running.len(), 2);
    assert_eq!(second.claim(&mut conn, lost, Room::of(10)).await.unwrap().jobs.len(), 1);
    assert!(first.claim(&mut conn, worker, Room::of(10)).await.unwrap().jobs.is_empty());
    assert_eq!(first.book().explain(tenant(0), None), Some(Blocked::LaneFull { max_running: 3 }));
    complete(&mut conn, &running).await;
    assert_eq!(second.claim(&mut conn, worker, Room::of(10)).await.unwrap().jobs.len(), 2);
    sqlx::query("update queue.workers set lease_until = queue.now() where id = $1")
        .bind(lost)
        .execute(&db.pool)
        .await
        .unwrap();
    assert_eq!(maintenance::rescuer::run_once(&db.pool).await.unwrap(), 1);
    assert_eq!(first.claim(&mut conn, worker, Room::of(10)).await.unwrap().jobs.len(), 1);
    no_drift(&db).await;
}

#[tokio::test]
async fn hosts_that_claim_at_once_never_exceed_a_limit() {
    let db = TestDb::new().await;
    for n in 0..4 {
        fill(&db, tenant(n), 50).await;
        limit(&db, tenant(n), most(5)).await;
    }
    let worker = db.register_worker().await;
    let hosts = (0..6).map(|_| {
        let pool = db.pool.clone();
        tokio::spawn(async move {
            let mut conn = pool.acquire().await.unwrap();
            let mut host = Claimer::open(&mut conn, QUEUE).await.unwrap();
            let mut taken = Vec::new();
            loop {
                let claim = host.claim(&mut conn, worker, Room::of(3)).await.unwrap();
                taken.extend(claim.jobs);
                if !claim.again {
                    return taken;
                }
            }
        })
    });
    let mut jobs = Vec::new();
    for host in hosts.collect::<Vec<_>>() {
        jobs.extend(host.await.unwrap());
    }
    assert_eq!(by_tenant(&jobs), (0..4).map(|n| (tenant(n), 5)).collect());
    no_drift(&db).await;
}

#[tokio::test]
async fn a_queue_and_a_lane_can_be_paused_and_go_on() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 2).await;
    fill(&db, tenant(1), 1).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    pause_queue(&mut db.pool.acquire().await.unwrap(), QUEUE, true).await.unwrap();
    assert!(host.claim(&mut conn, worker, Room::of(10)).await.unwrap().jobs.is_empty());
    assert_eq!(host.book().explain(tenant(0), None), Some(Blocked::QueuePaused));
    pause_queue(&mut db.pool.acquire().await.unwrap(), QUEUE, false).await.unwrap();
    let paused = LaneSettings { paused: true, limits: None };
    set_lane(&mut db.pool.acquire().await.unwrap(), QUEUE, tenant(0), paused).await.unwrap();
    let jobs = host.claim(&mut conn, worker, Room::of(10)).await.unwrap().jobs;
    assert_eq!(by_tenant(&jobs), HashMap::from([(tenant(1), 1)]));
    assert_eq!(host.book().explain(tenant(0), None), Some(Blocked::LanePaused));
    set_lane(&mut conn, QUEUE, tenant(0), LaneSettings::default()).await.unwrap();
    assert_eq!(host.claim(&mut conn, worker, Room::of(10)).await.unwrap().jobs.len(), 2);
}

#[tokio::test]
async fn a_queue_has_limits_over_all_its_lanes_and_defaults_for_each() {
    let db = TestDb::new().await;
    for n in 0..3 {
        fill(&db, tenant(n), 10).await;
    }
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let limits = QueueLimits { rate: None, max_running: Some(5) };
    set_queue_limits(&mut conn, QUEUE, limits, most(2)).await.unwrap();
    let mut host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let jobs = host.claim(&mut conn, worker, Room::of(100)).await.unwrap().jobs;
    assert_eq!(jobs.len(), 5);
    assert!(by_tenant(&jobs).values().all(|count| *count <= 2));
    let book = Book::open(&mut conn, QUEUE).await.unwrap();
    assert_eq!(book.explain(tenant(0), None), Some(Blocked::QueueFull { max_running: 5 }));
    let limits = QueueLimits { rate: Some(Rate { rate: 1, period_ms: 60_000, burst: 3 }), max_running: None };
    set_queue_limits(&mut conn, QUEUE, limits, LaneLimits::default()).await.unwrap();
    assert_eq!(host.claim(&mut conn, worker, Room::of(100)).await.unwrap().jobs.len(), 3);
    assert!(host.claim(&mut conn, worker, Room::of(100)).await.unwrap().jobs.is_empty());
}

#[tokio::test]
async fn a_setting_counts_from_the_next_claim_of_any_host() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 10).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    // Between this host's look and its claim nothing is known of the change; its turn is taken, though.
    limit(&db, tenant(0), most(1)).await;
    assert_eq!(host.claim(&mut conn, worker, Room::of(10)).await.unwrap().jobs.len(), 1);
    limit(&db, tenant(0), LaneLimits::default()).await;
    assert_eq!(host.claim(&mut conn, worker, Room::of(10)).await.unwrap().jobs.len(), 9);
}
