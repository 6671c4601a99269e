//! Claims: order, exclusion, leases, and a plan that stays an index scan.

use std::collections::HashSet;

use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;
use weirgate_queue::NewJob;
use weirgate_queue::claim::claim;

use crate::support::{Does, Step, TestDb};

fn step(label: &str) -> NewJob {
    NewJob::of(Uuid::nil(), &Step::new(label, Does::Succeed)).unwrap()
}

#[tokio::test]
async fn higher_priority_first_then_in_order_of_enqueueing() {
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
async fn two_claimers_never_take_the_same_job() {
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
async fn a_worker_without_a_lease_gets_nothing() {
    let db = TestDb::new().await;
    db.enqueue_new(step("a")).await;
    let mut conn = db.pool.acquire().await.unwrap();
    assert!(claim(&mut conn, Uuid::now_v7(), "default", 1).await.unwrap().is_empty());
    let worker = db.register_worker().await;
    db.travel(std::time::Duration::from_secs(61)).await;
    assert!(claim(&mut conn, worker, "default", 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_plan_of_the_claim_reads_a_lane_by_its_index_whatever_the_statistics() {
    let db = TestDb::new().await;
    // One huge lane, where an order by seq alone looks cheap, and many small ones.
    for tenant in ["'00000000-0000-0000-0000-000000000001'", "gen_random_uuid()"] {
        let mut tx = db.pool.begin().await.unwrap();
        let fill = format!(
            "insert into queue.jobs (id, tenant_id, queue, kind, state, max_attempts, args, created_at, scheduled_at)
             select gen_random_uuid(), {tenant}, 'q', 'k',
                 (case when n % 10 = 0 then 'completed' else 'available' end)::queue.job_state, 3, '{{}}', now(), now()
             from generate_series(1, 50000) n"
        );
        sqlx::raw_sql(AssertSqlSafe(fill)).execute(&mut *tx).await.unwrap();
        sqlx::raw_sql("analyze queue.jobs").execute(&mut *tx).await.unwrap();
        let text = include_str!("../../queue/src/claim.sql");
        for mode in ["force_generic_plan", "force_custom_plan"] {
            sqlx::raw_sql(AssertSqlSafe(format!(
                "set local plan_cache_mode = {mode}; prepare take as {text}"
            )))
            .execute(&mut *tx)
            .await
            .unwrap();
            let plan: String = sqlx::raw_sql(
                "explain execute take('q', 1, gen_random_uuid(), '{0,0}', null, 0,
                     '{00000000-0000-0000-0000-000000000001}', '{null}', '{1}', '{null}', '{0}',
                     '{00000000-0000-0000-0000-000000000001}', '{null}', '{0}', '{0}', '{5}', '{100}', '{1}', '{7}', 0); ",
            )
            .fetch_all(&mut *tx)
            .await
            .unwrap()
            .iter()
            .map(|row| row.get::<String, _>(0) + "\n")
            .collect();
            sqlx::raw_sql("deallocate take").execute(&mut *tx).await.unwrap();
            assert!(plan.contains("Index Scan using jobs_lane"), "{plan}");
            assert!(plan.contains("Index Scan using jobs_backfill_lane"), "{plan}");
            assert!(plan.contains("(seq = ANY"), "{plan}");
            assert!(!plan.contains("Seq Scan on jobs"), "{plan}");
            assert_eq!(plan.matches("jobs_seq").count(), 1, "only for what came back: {plan}");
        }
    }
}
