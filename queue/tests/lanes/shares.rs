//! Lanes share starts by weight, priority counts inside a lane, and backfills yield to live work.

use super::*;

#[tokio::test]
async fn lanes_share_starts_by_weight_and_use_what_others_leave() {
    let db = TestDb::new().await;
    for (n, weight) in [(0, 1.0), (1, 2.0), (2, 4.0)] {
        fill(&db, tenant(n), 120).await;
        limit(&db, tenant(n), LaneLimits { weight, ..LaneLimits::default() }).await;
    }
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut claimers =
        [Claimer::open(&mut conn, QUEUE).await.unwrap(), Claimer::open(&mut conn, QUEUE).await.unwrap()];
    let mut jobs = Vec::new();
    for round in 0..20 {
        jobs.extend(claimers[round % 2].claim(&mut conn, worker, Capacity::of(7)).await.unwrap().jobs);
    }
    let shares = by_tenant(&jobs);
    for (n, due) in [(0, 20), (1, 40), (2, 80)] {
        assert!(shares[&tenant(n)].abs_diff(due) <= 2, "{shares:?}");
    }
    // The rest is 100 + 80 + 40: each lane starts what it still has.
    let rest = claimers[0].claim(&mut conn, worker, Capacity::of(1000)).await.unwrap().jobs;
    assert_eq!(rest.len(), 360 - 140);
}

#[tokio::test]
async fn lane_that_was_idle_gets_no_credit_for_it() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 300).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut claimer = Claimer::open(&mut conn, QUEUE).await.unwrap();
    assert_eq!(claimer.claim(&mut conn, worker, Capacity::of(100)).await.unwrap().jobs.len(), 100);
    fill(&db, tenant(1), 100).await;
    let shares = by_tenant(&claimer.claim(&mut conn, worker, Capacity::of(20)).await.unwrap().jobs);
    assert_eq!(shares, HashMap::from([(tenant(0), 10), (tenant(1), 10)]));
}

#[tokio::test]
async fn priority_counts_inside_a_lane_and_not_against_another_lane() {
    let db = TestDb::new().await;
    let low = fill(&db, tenant(0), 2).await;
    let mut high = Vec::new();
    for _ in 0..2 {
        high.push(db.enqueue_new(step(tenant(0)).priority(50)).await.id);
    }
    let other = fill(&db, tenant(1), 2).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut order = Vec::new();
    let mut claimer = Claimer::open(&mut conn, QUEUE).await.unwrap();
    for _ in 0..6 {
        order.extend(
            claimer
                .claim(&mut conn, worker, Capacity::of(1))
                .await
                .unwrap()
                .jobs
                .iter()
                .map(|job| job.run.job),
        );
    }
    let of = |lane: &[Uuid]| order.iter().copied().filter(|id| lane.contains(id)).collect::<Vec<_>>();
    assert_eq!(of(&[high.clone(), low.clone()].concat()), [high, low].concat());
    assert_eq!(of(&other), other);
    let place = order.iter().position(|id| *id == other[0]).unwrap();
    assert!(place < 2, "the other tenant waited behind priority: {order:?}");
}

#[tokio::test]
async fn live_work_goes_before_backfills_which_get_their_share() {
    let db = TestDb::new().await;
    let backfill = Uuid::now_v7();
    sqlx::query("insert into queue.backfills (id, share) values ($1, 0.25)")
        .bind(backfill)
        .execute(&db.pool)
        .await
        .unwrap();
    let worker = db.register_worker().await;
    sqlx::query("update queue.workers set capacity = 8").execute(&db.pool).await.unwrap();
    let mut tx = db.pool.begin().await.unwrap();
    enqueue(&mut tx, (0..20).map(|_| step(tenant(0)).backfill(backfill)).collect()).await.unwrap();
    tx.commit().await.unwrap();
    let mut conn = db.pool.acquire().await.unwrap();
    let mut claimer = Claimer::open(&mut conn, QUEUE).await.unwrap();
    // Without live work, the backfill may use the whole capacity.
    let alone = claimer.claim(&mut conn, worker, Capacity::of(8)).await.unwrap().jobs;
    assert_eq!(alone.len(), 8);
    assert!(alone.iter().all(|job| job.backfill == Some(backfill)));
    complete(&mut conn, &alone).await;
    fill(&db, tenant(1), 10).await;
    // Live work goes first. As none of it is left then, the backfill takes the rest.
    let mixed =
        claimer.claim(&mut conn, worker, Capacity { jobs: 12, live: 12, backfill: 12 }).await.unwrap().jobs;
    assert_eq!(by_tenant(&mixed), HashMap::from([(tenant(1), 10), (tenant(0), 2)]));
    complete(&mut conn, &mixed).await;
    // While live work is left, the backfill gets a quarter of the capacity of eight.
    fill(&db, tenant(1), 10).await;
    let mixed =
        claimer.claim(&mut conn, worker, Capacity { jobs: 12, live: 6, backfill: 12 }).await.unwrap().jobs;
    assert_eq!(by_tenant(&mixed), HashMap::from([(tenant(1), 6), (tenant(0), 2)]));
    assert!(
        claimer
            .claim(&mut conn, worker, Capacity { jobs: 4, live: 0, backfill: 4 })
            .await
            .unwrap()
            .jobs
            .is_empty()
    );
}
