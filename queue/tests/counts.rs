//! How many jobs match a filter in each state: exactly where the queue views count, up to a limit
//! where they do not.

use uuid::Uuid;
use weirgate_queue::JobState;
use weirgate_queue::lanes::QueueViews;
use weirgate_queue::read::JobFilter;
use weirgate_queue::read::counts::{
    JobCount, JobCounts, count_by_views, count_by_walking, is_counted_by_views,
};
use weirgate_test_support::TestDb;

const TENANT: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);
const BACKFILL: Uuid = Uuid::from_u128(3);

/// Enqueues jobs of a tenant in two queues, some of them of a backfill. Every tenth is discarded,
/// and every hundredth has a kind of its own.
async fn enqueue(db: &TestDb, tenant: Uuid, jobs: i64) {
    sqlx::query(
        "insert into queue.jobs
             (id, tenant_id, queue, kind, state, max_attempts, args, created_at, scheduled_at, backfill_id)
         select gen_random_uuid(), $1, case when n % 2 = 0 then 'ingest' else 'export' end,
             case when n % 100 = 0 then 'rare' else 'step' end,
             (case when n % 10 = 0 then 'discarded' else 'completed' end)::queue.job_state, 3, '{}'::jsonb,
             queue.now() + n * interval '1 second', queue.now(), case when n % 5 = 0 then $3::uuid end
         from generate_series(1, $2) as n",
    )
    .bind(tenant)
    .bind(jobs)
    .bind(BACKFILL)
    .execute(&db.pool)
    .await
    .unwrap();
}

/// The jobs as rows, counted one by one.
async fn count_rows(db: &TestDb, condition: &str) -> [i64; 2] {
    let count = |state: &'static str| {
        let sql = format!("select count(*) from queue.jobs where state = '{state}' and {condition}");
        async move { sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&db.pool).await.unwrap() }
    };
    [count("completed").await, count("discarded").await]
}

fn both_states(counts: &JobCounts) -> [i64; 2] {
    [JobState::Completed, JobState::Discarded].map(|state| counts.of(state).jobs)
}

#[tokio::test]
async fn counts_of_views_are_exact() {
    let db = TestDb::new().await;
    let views = QueueViews::new(db.pool.clone());
    enqueue(&db, TENANT, 3000).await;
    enqueue(&db, OTHER, 200).await;
    let filter = |tenant: Option<Uuid>, queue: Option<&str>, backfill: Option<Uuid>| JobFilter {
        tenant,
        queue: queue.map(str::to_owned),
        backfill,
        states: Some(vec![JobState::Running]),
        ..JobFilter::default()
    };
    let cases = [
        (filter(None, None, None), "true".to_owned()),
        (filter(None, Some("ingest"), None), "queue = 'ingest'".to_owned()),
        (filter(Some(TENANT), None, None), format!("tenant_id = '{TENANT}'")),
        (filter(Some(OTHER), Some("export"), None), format!("tenant_id = '{OTHER}' and queue = 'export'")),
        (filter(None, None, Some(BACKFILL)), format!("backfill_id = '{BACKFILL}'")),
        (
            filter(Some(OTHER), Some("ingest"), Some(BACKFILL)),
            format!("tenant_id = '{OTHER}' and queue = 'ingest' and backfill_id = '{BACKFILL}'"),
        ),
        (filter(Some(Uuid::from_u128(9)), None, None), "false".to_owned()),
        (filter(None, Some("no such queue"), None), "false".to_owned()),
    ];
    // Before and after some jobs were deleted and some ended otherwise.
    for change in [
        "select 1",
        "delete from queue.jobs where state = 'completed' and seq % 3 = 0",
        "update queue.jobs set state = 'completed' where state = 'discarded' and seq % 7 = 0",
    ] {
        sqlx::raw_sql(change).execute(&db.pool).await.unwrap();
        for (filter, condition) in &cases {
            assert!(is_counted_by_views(filter));
            let mut conn = db.pool.acquire().await.unwrap();
            let counts = count_by_views(&views, &mut conn, filter).await.unwrap();
            assert_eq!(both_states(&counts), count_rows(&db, condition).await, "{change}; {condition}");
            assert!(!counts.sum(&JobState::ALL).more, "exactly");
        }
    }
}

#[tokio::test]
async fn other_filters_count_no_more_jobs_than_a_page_examines() {
    let db = TestDb::new().await;
    enqueue(&db, TENANT, 20_000).await;
    sqlx::raw_sql("vacuum analyze queue.jobs").execute(&db.pool).await.unwrap();
    let mut conn = db.pool.acquire().await.unwrap();
    let of = |kind: &str| JobFilter { kind: Some(kind.to_owned()), ..JobFilter::default() };
    let step = of("step");
    assert!(!is_counted_by_views(&step));
    let counts = count_by_walking(&mut conn, &step).await.unwrap();
    let many = JobCount { jobs: 1000, more: true };
    assert_eq!((counts.of(JobState::Completed), counts.of(JobState::Discarded)), (many, many));
    assert_eq!(
        counts.of(JobState::Waiting),
        JobCount { jobs: 0, more: false },
        "it is known that there is none"
    );
    assert_eq!(counts.sum(&JobState::ALL), JobCount { jobs: 2000, more: true });

    // All rare jobs are discarded, and so are in a short index.
    let rare = count_by_walking(&mut conn, &of("rare")).await.unwrap();
    assert_eq!(rare.of(JobState::Discarded), JobCount { jobs: 200, more: false });
    assert!(rare.of(JobState::Completed).more, "older ones were not looked at");

    let ids = sqlx::query_scalar("select id from queue.jobs order by seq limit 20").fetch_all(&db.pool).await;
    let few = JobFilter { ids: Some(ids.unwrap()), ..of("step") };
    let few = count_by_walking(&mut conn, &few).await.unwrap();
    assert_eq!((few.of(JobState::Completed).jobs, few.of(JobState::Discarded).jobs), (18, 2));
    assert!(!few.sum(&JobState::ALL).more);
}
