//! Claims: order, exclusion, leases, and query plans that stay index scans.

use std::collections::HashSet;

use sqlx::{AssertSqlSafe, PgConnection, Row};
use uuid::Uuid;
use weirgate_queue::NewJob;
use weirgate_queue::worker::claim;
use weirgate_test_support::{Does, Step, TestDb};

fn step(label: &str) -> NewJob {
    NewJob::of(Uuid::nil(), &Step::new(label, Does::Succeed)).unwrap()
}

#[tokio::test]
async fn jobs_are_claimed_by_priority_and_then_in_order_of_enqueueing() {
    let db = TestDb::new().await;
    let worker = db.register_worker().await;
    let mut expected = Vec::new();
    for (label, priority) in [("a", 0), ("b", 5), ("c", 0), ("d", 5), ("e", -5)] {
        expected.push((priority, db.enqueue_new(step(label).priority(priority)).await.id));
    }
    expected.sort_by_key(|(priority, _)| -priority);
    let mut conn = db.pool.acquire().await.unwrap();
    let mut claimed = claim(&mut conn, worker, "default", 2).await.unwrap();
    claimed.extend(claim(&mut conn, worker, "default", 10).await.unwrap());
    let ids: Vec<_> = claimed.iter().map(|job| job.run.job).collect();
    assert_eq!(ids, expected.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
}

#[tokio::test]
async fn concurrent_claimers_never_claim_the_same_job() {
    let db = TestDb::new().await;
    let jobs = (0..400).map(|i| step(&i.to_string())).collect();
    let mut tx = db.pool.begin().await.unwrap();
    weirgate_queue::enqueue(&mut tx, jobs).await.unwrap();
    tx.commit().await.unwrap();
    let worker = db.register_worker().await;
    let mut claimers = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let pool = db.pool.clone();
        claimers.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let jobs = claim(&mut pool.acquire().await.unwrap(), worker, "default", 7).await.unwrap();
                if jobs.is_empty() {
                    return mine;
                }
                mine.extend(jobs.into_iter().map(|job| job.run.job));
            }
        });
    }
    let all: Vec<Uuid> = claimers.join_all().await.into_iter().flatten().collect();
    assert_eq!(all.len(), 400);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 400);
}

#[tokio::test]
async fn worker_without_a_lease_claims_nothing() {
    let db = TestDb::new().await;
    db.enqueue_new(step("a")).await;
    let mut conn = db.pool.acquire().await.unwrap();
    assert!(claim(&mut conn, Uuid::now_v7(), "default", 1).await.unwrap().is_empty());
    let worker = db.register_worker().await;
    db.travel(std::time::Duration::from_secs(61)).await;
    assert!(claim(&mut conn, worker, "default", 1).await.unwrap().is_empty());
}

/// The generic and the custom plan of `sql` with `arguments`.
async fn plans(conn: &mut PgConnection, sql: &str, arguments: &str) -> Vec<String> {
    let mut plans = Vec::new();
    for mode in ["force_generic_plan", "force_custom_plan"] {
        let prepare = format!("set local plan_cache_mode = {mode}; prepare statement as {sql}");
        sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut *conn).await.unwrap();
        let explain = format!("explain execute statement ({arguments})");
        let lines = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut *conn).await.unwrap();
        plans.push(lines.iter().map(|row| row.get::<String, _>(0) + "\n").collect());
        sqlx::raw_sql("deallocate statement").execute(&mut *conn).await.unwrap();
    }
    plans
}

#[tokio::test]
async fn level_is_read_by_its_index_whatever_the_statistics() {
    const CLAIM: &str = include_str!("../src/claim/claim.sql");
    const AHEAD: &str = include_str!("../src/lanes/ahead.sql");
    const OLDEST: &str = include_str!("../src/lanes/oldest.sql");
    let db = TestDb::new().await;
    // No jobs; then one huge lane, for which an order by seq alone looks cheap; then many small
    // lanes.
    for tenant in [None, Some("'00000000-0000-0000-0000-000000000001'"), Some("gen_random_uuid()")] {
        let mut tx = db.pool.begin().await.unwrap();
        if let Some(tenant) = tenant {
            let fill = format!(
                "insert into queue.jobs (id, tenant_id, queue, kind, state, max_attempts, args, created_at, scheduled_at)
                 select gen_random_uuid(), {tenant}, 'q', 'k',
                     (case when n % 10 = 0 then 'completed' else 'available' end)::queue.job_state, 3, '{{}}', now(), now()
                 from generate_series(1, 50000) n"
            );
            sqlx::raw_sql(AssertSqlSafe(fill)).execute(&mut *tx).await.unwrap();
            sqlx::raw_sql("analyze queue.jobs").execute(&mut *tx).await.unwrap();
        }
        let lane = "'{00000000-0000-0000-0000-000000000001}', '{null}', '{0}', '{0}'";
        let claim = format!(
            "'q', 1, gen_random_uuid(), '{{0,0}}', null, 0,
             '{{00000000-0000-0000-0000-000000000001}}', '{{null}}', '{{1}}', '{{null}}', '{{0}}', {lane}, '{{5}}', '{{100}}',
             '{{1}}', '{{7}}', 0, 1, '{{}}'"
        );
        for plan in plans(&mut tx, CLAIM, &claim).await {
            assert!(plan.contains("Index Scan using jobs_sublane"), "{plan}");
            assert!(plan.contains("(seq = ANY"), "{plan}");
            assert!(!plan.contains("Seq Scan on jobs"), "{plan}");
            assert_eq!(plan.matches("jobs_seq").count(), 1, "only for requeued jobs: {plan}");
        }
        for (sql, arguments) in [(AHEAD, format!("'q', {lane}, 100")), (OLDEST, format!("'q', {lane}"))] {
            for plan in plans(&mut tx, sql, &arguments).await {
                assert!(plan.contains("jobs_sublane on jobs"), "{plan}");
                assert!(!plan.contains("Sort") && plan.matches(" on jobs").count() == 1, "{plan}");
            }
        }
    }
}
