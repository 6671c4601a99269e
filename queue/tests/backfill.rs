//! Slices become jobs: a bounded number is in flight, and each becomes a job exactly once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;
use weirgate_queue::backfill::{self, BackfillSettings, BackfillState};
use weirgate_queue::worker::expander::Expander;
use weirgate_queue::{JobState, NewJob};
use weirgate_test_support::{Does, Step, StepSlices, Steps, TestDb, expander, show};

async fn count(db: &TestDb, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&db.pool).await.unwrap()
}

/// How often each label became a job.
async fn labels(db: &TestDb) -> BTreeMap<String, i64> {
    let sql = "select args ->> 'label', count(*) from queue.jobs group by 1";
    sqlx::query_as(sql).fetch_all(&db.pool).await.unwrap().into_iter().collect()
}

fn each_once(total: u64) -> BTreeMap<String, i64> {
    (0..total).map(|n| (n.to_string(), 1)).collect()
}

/// Completes the first `limit` available jobs, as workers would.
async fn complete(db: &TestDb, limit: i64) {
    sqlx::query(
        "update queue.jobs set state = 'completed', finalized_at = queue.now()
         where id in (select id from queue.jobs where state = 'available' order by seq limit $1)",
    )
    .bind(limit)
    .execute(&db.pool)
    .await
    .unwrap();
}

async fn set_slots(db: &TestDb, slots: i32) {
    db.register_worker().await;
    sqlx::query("update queue.workers set capacity = $1").bind(slots).execute(&db.pool).await.unwrap();
}

#[tokio::test]
async fn backfill_of_ten_million_slices_is_one_row() {
    let db = TestDb::new().await;
    let id = Steps::that(Does::Succeed).backfill(&db, 10_000_000, BackfillSettings::default()).await;
    assert_eq!(count(&db, "select count(*) from queue.backfills").await, 1);
    assert_eq!(count(&db, "select count(*) from queue.jobs").await, 0);
    let shown = show(&db, id).await;
    assert_eq!((shown.total, shown.expanded, shown.done), (10_000_000, 0, 0));
    assert_eq!(shown.state, BackfillState::Running);
}

#[tokio::test]
async fn bounded_number_of_slices_is_in_flight() {
    let db = TestDb::new().await;
    let id = Steps::that(Does::Succeed).backfill(&db, 10_000_000, BackfillSettings::default()).await;
    let expander = expander();
    for _ in 0..3 {
        expander.run_once(&db.pool).await.unwrap();
        assert_eq!(show(&db, id).await.expanded, 500, "and no more while they wait");
    }
    complete(&db, 200).await;
    expander.run_once(&db.pool).await.unwrap();
    assert_eq!(show(&db, id).await.expanded, 700, "as many as were done");
    // The window grows with the fleet, within bounds.
    for (slots, live) in [(500, 1000), (100_000, 2000)] {
        set_slots(&db, slots).await;
        // The view reads the size of the fleet every other second.
        db.travel(Duration::from_secs(3)).await;
        expander.run_once(&db.pool).await.unwrap();
        assert_eq!(show(&db, id).await.counts.live(), live);
    }
}

#[tokio::test]
async fn jobs_have_the_backfills_id_priority_and_trace() {
    let db = TestDb::new().await;
    let id = Steps::that(Does::Succeed).backfill(&db, 1, BackfillSettings::default()).await;
    expander().run_once(&db.pool).await.unwrap();
    let job: Uuid = sqlx::query_scalar("select id from queue.jobs").fetch_one(&db.pool).await.unwrap();
    let job = db.job(job).await;
    assert_eq!((job.backfill_id, job.priority), (Some(id), 5));
    assert!(job.traceparent.unwrap().contains("4bf92f3577b34da6a3ce929d0e0e4736"));
}

#[tokio::test]
async fn crash_during_an_expansion_neither_loses_nor_repeats_a_slice() {
    let db = TestDb::new().await;
    let id = Steps::that(Does::Succeed).backfill(&db, 1500, BackfillSettings::default()).await;
    let slices = Arc::new(StepSlices::default());
    let expander = Expander::new(vec![slices.clone()]);
    // The connection dies before the jobs are stored.
    slices.dies.store(true, std::sync::atomic::Ordering::Relaxed);
    expander.run_once(&db.pool).await.unwrap_err();
    assert_eq!(show(&db, id).await.expanded, 0);
    // The jobs are stored, but how far the backfill is cannot be written.
    sqlx::raw_sql(
        "create function refuse() returns trigger language plpgsql as $$ begin raise exception 'crash'; end $$;
         create trigger refuse before update of next_slice on queue.backfills for each row execute function refuse()",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    expander.run_once(&db.pool).await.unwrap_err();
    assert_eq!(count(&db, "select count(*) from queue.jobs").await, 0);
    sqlx::raw_sql("drop trigger refuse on queue.backfills").execute(&db.pool).await.unwrap();
    while show(&db, id).await.expanded < 1500 {
        expander.run_once(&db.pool).await.unwrap();
        complete(&db, 400).await;
    }
    assert_eq!(labels(&db).await, each_once(1500));
}

#[tokio::test]
async fn concurrent_expanders_make_each_slice_once() {
    let db = TestDb::new().await;
    let one = Steps::that(Does::Succeed).backfill(&db, 3000, BackfillSettings::default()).await;
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let pool = db.pool.clone();
        racers.spawn(async move {
            let expander = expander();
            for _ in 0..100 {
                expander.run_once(&pool).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
    }
    while show(&db, one).await.state == BackfillState::Running {
        complete(&db, 500).await;
        let live = show(&db, one).await.counts.live();
        assert!(live <= 500, "{live} slices are on their way");
        if racers.is_empty() {
            expander().run_once(&db.pool).await.unwrap();
        }
        while racers.try_join_next().is_some() {}
    }
    assert_eq!(labels(&db).await, each_once(3000));
    racers.join_all().await;
}

#[tokio::test]
async fn slice_that_is_in_flight_is_skipped() {
    let db = TestDb::new().await;
    let steps = Steps::that(Does::Succeed);
    // Somebody enqueued slice 7 as live work.
    let tenant = Uuid::from_u128(7 % 3);
    let live = db.enqueue_new(NewJob::of(tenant, &Step::new("7", Does::Succeed)).unwrap()).await.id;
    let one = steps.clone().backfill(&db, 100, BackfillSettings::default()).await;
    let expander = expander();
    expander.run_once(&db.pool).await.unwrap();
    let two = steps.backfill(&db, 150, BackfillSettings::default()).await;
    expander.run_once(&db.pool).await.unwrap();
    let (one, two) = (show(&db, one).await, show(&db, two).await);
    assert_eq!((one.expanded, one.skipped, one.jobs), (100, 1, 99));
    assert_eq!((two.expanded, two.skipped, two.jobs), (150, 100, 50));
    assert_eq!(labels(&db).await, each_once(150));
    assert_eq!(db.job(live).await.backfill_id, None);
}

#[tokio::test]
async fn slices_with_nothing_to_do_are_skipped_and_take_no_room_in_the_window() {
    let db = TestDb::new().await;
    let steps = Steps { every: 10, ..Steps::that(Does::Succeed) };
    let id = steps.backfill(&db, 100_000, BackfillSettings::default()).await;
    let expander = expander();
    expander.run_once(&db.pool).await.unwrap();
    let shown = show(&db, id).await;
    assert_eq!((shown.jobs, shown.expanded, shown.skipped), (500, 4991, 4491));
    assert_eq!(shown.done, 4491);
}

#[tokio::test]
async fn slice_may_be_a_workflow() {
    let db = TestDb::new().await;
    let steps = Steps { pairs: true, ..Steps::that(Does::Succeed) };
    let id = steps.clone().backfill(&db, 2000, BackfillSettings::default()).await;
    let expander = expander();
    expander.run_once(&db.pool).await.unwrap();
    let shown = show(&db, id).await;
    assert_eq!((shown.expanded, shown.jobs), (500, 1000), "the window counts slices, not jobs");
    assert_eq!((shown.counts.of(JobState::Available), shown.counts.of(JobState::Waiting)), (500, 500));
    let waiting = "select count(*) from queue.job_dependencies";
    assert_eq!(count(&db, waiting).await, 500);
    // Half of each slice is done.
    complete(&db, 500).await;
    assert_eq!(show(&db, id).await.done, 250);
    let again = steps.backfill(&db, 100, BackfillSettings::default()).await;
    expander.run_once(&db.pool).await.unwrap();
    let again = show(&db, again).await;
    assert_eq!(
        (again.skipped, again.jobs),
        (100, 0),
        "nothing of a slice is stored when its last job is live"
    );
}

#[tokio::test]
async fn failing_backfill_does_not_delay_others() {
    let db = TestDb::new().await;
    let broken = Steps::that(Does::Succeed).backfill(&db, 10, BackfillSettings::default()).await;
    sqlx::query("update queue.backfills set plan = '{}'").execute(&db.pool).await.unwrap();
    let good = Steps::that(Does::Succeed).backfill(&db, 10, BackfillSettings::default()).await;
    let error = expander().run_once(&db.pool).await.unwrap_err().to_string();
    assert!(error.contains("missing field"), "{error}");
    assert_eq!((show(&db, broken).await.expanded, show(&db, good).await.expanded), (0, 10));
    let overdone = Steps { overdoes: true, ..Steps::that(Does::Succeed) };
    let overdone = overdone.backfill(&db, 10, BackfillSettings::default()).await;
    let error = expander().run_once(&db.pool).await.unwrap_err().to_string();
    assert!(error.contains("outside of its bounds"), "{error}");
    assert_eq!(show(&db, overdone).await.jobs, 0);
    // Another version of the program may know its kind.
    sqlx::query("update queue.backfills set kind = 'new' where id = $1")
        .bind(broken)
        .execute(&db.pool)
        .await
        .unwrap();
    backfill::cancel(&db.pool, overdone).await.unwrap();
    expander().run_once(&db.pool).await.unwrap();
    assert_eq!(show(&db, broken).await.state, BackfillState::Running);
    assert!(backfill::get(&mut db.pool.acquire().await.unwrap(), Uuid::now_v7()).await.unwrap().is_none());
}
