//! A stalled tenant does not delay a backfill's other tenants, and loses no slice.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;
use uuid::Uuid;
use weirgate_queue::backfill::{self, BackfillSettings, BackfillState};
use weirgate_queue::lanes::change::change_lane;
use weirgate_queue::lanes::settings::LaneSettings;
use weirgate_queue::lanes::{LaneLimits, Rate};
use weirgate_test_support::{Does, Probe, Steps, TestDb, TestWorker, expander, show};

fn tenant(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn steps(tenants: u64) -> Steps {
    Steps { tenants, ..Steps::that(Does::Succeed) }
}

async fn lane(db: &TestDb, tenant: Uuid, settings: LaneSettings) {
    let mut tx = db.pool.begin().await.unwrap();
    change_lane(&mut tx, "default", tenant, settings.into()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn pause(db: &TestDb, n: u128, paused: bool) {
    lane(db, tenant(n), LaneSettings { paused, ..LaneSettings::default() }).await;
}

/// How often each slice became a job.
async fn labels(db: &TestDb) -> BTreeMap<u64, i64> {
    let sql = "select (args ->> 'label')::bigint, count(*) from queue.jobs group by 1";
    let rows: Vec<(i64, i64)> = sqlx::query_as(sql).fetch_all(&db.pool).await.unwrap();
    rows.into_iter().map(|(label, count)| (label.unsigned_abs(), count)).collect()
}

fn each_once(total: u64) -> BTreeMap<u64, i64> {
    (0..total).map(|n| (n, 1)).collect()
}

async fn count(db: &TestDb, tenant: Uuid, condition: &str) -> i64 {
    let sql = format!("select count(*) from queue.jobs where tenant_id = $1 and {condition}");
    sqlx::query_scalar(AssertSqlSafe(sql)).bind(tenant).fetch_one(&db.pool).await.unwrap()
}

/// Completes all available jobs of all tenants except these, as workers would.
async fn complete_but(db: &TestDb, tenants: &[Uuid]) {
    sqlx::query(
        "update queue.jobs set state = 'completed', finalized_at = queue.now()
         where state = 'available' and tenant_id <> all($1)",
    )
    .bind(tenants)
    .execute(&db.pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn stalled_tenant_does_not_delay_the_others() {
    // Three tenants of 2,000 slices each. The first one is paused, its jobs wait for another
    // attempt or for their time, or it is slow.
    for (what, rounds) in [("paused", 10), ("retryable", 10), ("scheduled", 10), ("slow", 14)] {
        let db = TestDb::new().await;
        if what == "paused" {
            pause(&db, 0, true).await;
        }
        let id = steps(3).backfill(&db, 6_000, BackfillSettings::default()).await;
        let expander = expander();
        let mut took = 0;
        // In each round the others get the whole window, 500 slices, or two thirds of it beside a
        // slow tenant.
        while count(&db, tenant(1), "true").await + count(&db, tenant(2), "true").await < 4_000 {
            expander.run_once(&db.pool).await.unwrap();
            let held = count(&db, tenant(0), "state <> 'completed'").await;
            assert!(held <= 250, "{held} slices of the one that is {what}");
            if matches!(what, "retryable" | "scheduled") {
                let sql = format!(
                    "update queue.jobs set state = '{what}', scheduled_at = queue.now() + interval '1 hour'
                     where state = 'available' and tenant_id = $1"
                );
                sqlx::query(AssertSqlSafe(sql)).bind(tenant(0)).execute(&db.pool).await.unwrap();
            }
            complete_but(&db, &[tenant(0)]).await;
            took += 1;
            assert!(took <= rounds, "{what}: {:?}", show(&db, id).await);
        }
        // It has not ended as long as some slices are put off.
        let shown = show(&db, id).await;
        assert_eq!(shown.state, BackfillState::Running);
        assert!(shown.expanded < 6_000 && shown.done <= shown.expanded, "{what}: {shown:?}");
        if what == "paused" {
            pause(&db, 0, false).await;
        }
        sqlx::query("update queue.jobs set state = 'available' where state in ('retryable', 'scheduled')")
            .execute(&db.pool)
            .await
            .unwrap();
        while show(&db, id).await.state == BackfillState::Running {
            expander.run_once(&db.pool).await.unwrap();
            complete_but(&db, &[]).await;
        }
        assert_eq!(labels(&db).await, each_once(6_000), "{what}");
        let shown = show(&db, id).await;
        assert_eq!((shown.state, shown.expanded, shown.done), (BackfillState::Completed, 6_000, 6_000));
    }
}

#[tokio::test]
async fn limited_tenants_do_not_slow_the_others() {
    let db = TestDb::new().await;
    let rate = Rate { rate: 2, period_ms: 1_000, burst: 1 };
    let slow = LaneLimits { rate: Some(rate), ..LaneLimits::default() };
    lane(&db, tenant(0), LaneSettings { paused: false, limits: Some(slow) }).await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start(&db, &probe);
    let id = steps(3).backfill(&db, 3_000, BackfillSettings::default()).await;
    let began = std::time::Instant::now();
    let done = |n| count(&db, tenant(n), "state = 'completed'");
    while done(1).await + done(2).await < 2_000 {
        // At the limited tenant's pace they would take ten minutes.
        assert!(began.elapsed().as_secs() < 120, "{:?}", show(&db, id).await);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let (ran, allowed) = (done(0).await, began.elapsed().as_secs_f64() * 2.0 + 2.0);
    println!("others ran 2,000 in {:.1} s, the limited one {ran}", began.elapsed().as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let ran = ran as f64;
    assert!(ran >= 1.0 && ran <= allowed, "{ran} of {allowed}: it runs at its rate");
    lane(&db, tenant(0), LaneSettings::default()).await;
    while show(&db, id).await.state == BackfillState::Running {
        assert!(began.elapsed().as_secs() < 240, "{:?}", show(&db, id).await);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(labels(&db).await, each_once(3_000));
    worker.stop().await;
}

#[tokio::test]
async fn hundreds_of_paused_tenants_delay_nobody_and_have_few_slices_in_flight() {
    let db = TestDb::new().await;
    let paused: Vec<Uuid> = (0..900).map(tenant).collect();
    sqlx::query(
        "insert into queue.lanes (tenant_id, queue, paused) select unnest($1::uuid[]), 'default', true",
    )
    .bind(&paused)
    .execute(&db.pool)
    .await
    .unwrap();
    let id = steps(1_000).backfill(&db, 60_000, BackfillSettings::default()).await;
    let expander = expander();
    let mut rounds = 0;
    loop {
        expander.run_once(&db.pool).await.unwrap();
        let live: i64 = sqlx::query_scalar("select count(*) from queue.jobs where state = 'available'")
            .fetch_one(&db.pool)
            .await
            .unwrap();
        assert!(live <= 13_000, "{live} slices are on their way");
        let made: i64 = sqlx::query_scalar("select count(*) from queue.jobs where tenant_id <> all($1)")
            .bind(&paused)
            .fetch_one(&db.pool)
            .await
            .unwrap();
        if made == 6_000 {
            break;
        }
        complete_but(&db, &paused).await;
        rounds += 1;
        assert!(rounds < 60, "{:?}", show(&db, id).await);
    }
    println!("{rounds} rounds");
}

#[tokio::test]
async fn crash_while_tenants_are_behind_neither_loses_nor_repeats_a_slice() {
    let db = TestDb::new().await;
    pause(&db, 0, true).await;
    let id = steps(3).backfill(&db, 3_000, BackfillSettings::default()).await;
    let expander = expander();
    while count(&db, tenant(1), "true").await < 1_000 {
        expander.run_once(&db.pool).await.unwrap();
        complete_but(&db, &[tenant(0)]).await;
    }
    pause(&db, 0, false).await;
    complete_but(&db, &[]).await;
    let before = labels(&db).await;
    // Its jobs are stored, but how far the backfill is cannot be written.
    sqlx::raw_sql(
        "create function refuse() returns trigger language plpgsql as $$ begin raise exception 'crash'; end $$;
         create trigger refuse before update or delete on queue.backfills_behind for each row execute function refuse()",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    expander.run_once(&db.pool).await.unwrap_err();
    assert_eq!(labels(&db).await, before);
    sqlx::raw_sql("drop trigger refuse on queue.backfills_behind").execute(&db.pool).await.unwrap();
    while show(&db, id).await.state == BackfillState::Running {
        expander.run_once(&db.pool).await.unwrap();
        complete_but(&db, &[]).await;
    }
    assert_eq!(labels(&db).await, each_once(3_000));
}

#[tokio::test]
async fn concurrent_expanders_make_each_slice_once_while_tenants_fall_behind_and_catch_up() {
    let db = TestDb::new().await;
    let id = steps(4).backfill(&db, 4_000, BackfillSettings::default()).await;
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let pool = db.pool.clone();
        racers.spawn(async move {
            let expander = expander();
            loop {
                expander.run_once(&pool).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
    }
    let mut turn = 0;
    while show(&db, id).await.state == BackfillState::Running {
        // One tenant after the other is paused.
        pause(&db, turn % 4, true).await;
        complete_but(&db, &[tenant(turn % 4)]).await;
        pause(&db, turn % 4, false).await;
        turn += 1;
        assert!(turn < 2_000, "{:?}", show(&db, id).await);
    }
    racers.shutdown().await;
    assert_eq!(labels(&db).await, each_once(4_000));
}

#[tokio::test]
async fn backfill_with_tenants_behind_can_be_paused_and_cancelled_and_older_versions_do_not_touch_it() {
    let db = TestDb::new().await;
    pause(&db, 0, true).await;
    let id = steps(2).backfill(&db, 8_000, BackfillSettings::default()).await;
    let expander = expander();
    for _ in 0..5 {
        expander.run_once(&db.pool).await.unwrap();
        complete_but(&db, &[tenant(0)]).await;
    }
    let behind = async || -> i64 {
        sqlx::query_scalar("select count(*) from queue.backfills_behind").fetch_one(&db.pool).await.unwrap()
    };
    assert_eq!(behind().await, 1);
    // An older version, which knows nothing of tenants behind, would advance the backfill or end
    // it.
    for sql in [
        "update queue.backfills set next_slice = next_slice + 1",
        "update queue.backfills set next_slice = total, finished_at = queue.now()",
    ] {
        let refused = sqlx::query(sql).execute(&db.pool).await.unwrap_err().to_string();
        assert!(refused.contains("backfills_put_off_check"), "{refused}");
    }
    let mut tx = db.pool.begin().await.unwrap();
    backfill::pause(&mut tx, id).await.unwrap();
    tx.commit().await.unwrap();
    let before = show(&db, id).await.expanded;
    pause(&db, 0, false).await;
    complete_but(&db, &[]).await;
    expander.run_once(&db.pool).await.unwrap();
    assert_eq!(show(&db, id).await.expanded, before, "nothing while it is paused");
    backfill::cancel(&db.pool, id).await.unwrap();
    expander.run_once(&db.pool).await.unwrap();
    assert_eq!(show(&db, id).await.state, BackfillState::Cancelled);
    assert_eq!(behind().await, 0);
}
