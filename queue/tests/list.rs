//! Lists of jobs in a table that is longer than a walk for one page.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use weirgate_queue::JobState;
use weirgate_queue::lanes::QueueViews;
use weirgate_queue::read::{self, JobFilter};
use weirgate_test_support::{TestDb, jobs_scans};

const JOBS: i64 = 24_000;
const TENANT: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);

/// One job for each second. Every 6,000th is discarded, has a kind of its own and an argument that
/// says so; all but every 1,000th are of one tenant.
async fn many_jobs() -> TestDb {
    let db = TestDb::new().await;
    sqlx::query(
        "insert into queue.jobs
             (id, tenant_id, queue, kind, state, max_attempts, args, created_at, scheduled_at)
         select gen_random_uuid(), case when n % 1000 = 0 then $3 else $2 end, 'default',
             case when n % 6000 = 0 then 'rare' else 'step' end,
             (case when n % 6000 = 0 then 'discarded' else 'completed' end)::queue.job_state, 3,
             case when n % 6000 = 0 then '{\"label\": \"needle\"}' else '{}' end::jsonb,
             queue.now() + n * interval '1 second', queue.now()
         from generate_series(1, $1) as n",
    )
    .bind(JOBS)
    .bind(TENANT)
    .bind(OTHER)
    .execute(&db.pool)
    .await
    .unwrap();
    sqlx::raw_sql("vacuum analyze queue.jobs").execute(&db.pool).await.unwrap();
    db
}

/// Follows the pages to the end. Returns how many jobs there are, each listed once and newest
/// first, and how many pages.
async fn pages(db: &TestDb, filter: &JobFilter) -> (usize, usize) {
    let mut conn = db.pool.acquire().await.unwrap();
    let (mut seqs, mut pages, mut before) = (Vec::new(), 0, None);
    loop {
        let page = read::list(&mut conn, filter, before, 500).await.unwrap();
        pages += 1;
        seqs.extend(page.rows.iter().map(|row| row.seq));
        match page.next {
            Some(next) => assert!(before.replace(next).is_none_or(|last| next < last), "it goes on"),
            None => break,
        }
    }
    assert!(seqs.is_sorted_by(|a, b| a > b), "newest first, each once");
    (seqs.len(), pages)
}

fn discarded() -> JobFilter {
    JobFilter { states: Some(vec![JobState::Discarded, JobState::Discarded]), ..JobFilter::default() }
}

#[tokio::test]
async fn rare_jobs_are_found_in_bounded_walks() {
    let db = many_jobs().await;
    let all = JobFilter::default();
    let rare = JobFilter { kind: Some("rare".to_owned()), ..all.clone() };
    assert_eq!(pages(&db, &rare).await, (4, 3), "10,000 jobs a page");
    let text = JobFilter { text: Some("NEEDLE".to_owned()), ..all.clone() };
    assert_eq!(pages(&db, &text).await, (4, 3));
    let running = JobFilter { states: Some(vec![JobState::Running, JobState::Completed]), ..rare.clone() };
    assert_eq!(pages(&db, &running).await, (0, 3));
    let of_tenant = JobFilter { tenant: Some(TENANT), ..rare.clone() };
    assert_eq!(pages(&db, &of_tenant).await, (0, 10), "2,500 jobs a page");
    let of_other = JobFilter { tenant: Some(OTHER), ..rare };
    assert_eq!(pages(&db, &of_other).await, (4, 1), "its own jobs only");
}

#[tokio::test]
async fn filters_with_an_index_find_their_jobs_at_once() {
    let db = many_jobs().await;
    assert_eq!(pages(&db, &discarded()).await, (4, 1));
    let of_other = JobFilter { tenant: Some(OTHER), ..discarded() };
    assert_eq!(pages(&db, &of_other).await, (4, 1));
    let of_tenant = JobFilter { tenant: Some(TENANT), ..discarded() };
    assert_eq!(pages(&db, &of_tenant).await, (0, 1));
    let mixed = JobFilter { kind: Some("rare".to_owned()), ..discarded() };
    assert_eq!(pages(&db, &mixed).await, (4, 1));
    let running = JobFilter { states: Some(vec![JobState::Running]), ..JobFilter::default() };
    assert_eq!(pages(&db, &running).await, (0, 1));
    let other = JobFilter { tenant: Some(OTHER), ..JobFilter::default() };
    assert_eq!(pages(&db, &other).await, (24, 1));
}

#[tokio::test]
async fn walk_reads_along_an_index_and_no_further_than_it_goes() {
    const PAGE: &str = include_str!("../src/read/page.sql");
    let db = many_jobs().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let types = "text, bigint, bigint, bigint, bigint, text[], text, text, uuid, uuid, uuid, timestamptz, timestamptz, text, uuid[], bigint, text[], text[], uuid[], boolean, text";
    for sql in [
        "update queue.jobs set workflow_id = tenant_id, backfill_id = tenant_id, failure_id = 1, state = 'discarded', subject = '2026-01-20'",
        "vacuum full analyze queue.jobs",
        "vacuum queue.jobs",
        "set plan_cache_mode = force_generic_plan",
        &format!("prepare w ({types}) as {PAGE}"),
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *conn).await.unwrap();
    }
    for (path, index, of) in [
        ("all", "jobs_seq", "null, null, null"),
        ("tenant", "jobs_tenant", "$, null, null"),
        ("workflow", "jobs_workflow", "null, $, null"),
        ("backfill", "jobs_backfill", "null, null, $"),
        ("tenant_cold", "jobs_tenant_cold", "$, null, null"),
        ("cold", "jobs_cold", "null, null, null"),
        ("failure", "jobs_failure", "null, null, null"),
        ("failing_subject", "jobs_failing_subject", "$, null, null"),
    ] {
        // Two walks from the middle of many jobs: one over a hundred jobs of which none matches,
        // and one that ends at once.
        for (from, to, looked_at) in [(12_000, 0, 100), (12_000, 11_995, 5)] {
            let of = of.replace('$', &format!("'{TENANT}'"));
            let explain = format!(
                "explain (analyze, buffers, costs off, timing off, summary off, format json)
                 execute w ('{path}', {from}, {to}, 100, 10, '{{discarded}}', 'there_is_none', null, {of}, null, null, null, null, {},
                     null, null, '{{}}', false, {})",
                if path == "failure" { "1" } else { "null" },
                if path == "failing_subject" { "'2026-01-20'" } else { "null" }
            );
            let explained: serde_json::Value =
                sqlx::query_scalar(sqlx::AssertSqlSafe(explain)).fetch_one(&mut *conn).await.unwrap();
            let plan = &explained[0]["Plan"];
            let blocks =
                ["Shared Hit Blocks", "Shared Read Blocks"].map(|field| plan[field].as_i64().unwrap());
            // The index has more than a hundred of these jobs.
            assert!(blocks.iter().sum::<i64>() < 50, "{path}, {looked_at} jobs: {plan:#}");
            let read = jobs_scans(plan);
            assert!(read.iter().all(|scan| scan.starts_with("Index")), "{path}: {read:?}");
            assert!(read.iter().any(|scan| scan.ends_with(&format!(" {index}"))), "{path}: {read:?}");
        }
    }
}

#[tokio::test]
async fn arguments_and_ids_are_filters() {
    let db = many_jobs().await;
    let sql =
        r#"update queue.jobs set args = '{"date": "2026-01-20", "at": {"page": 3}}' where seq in (7, 20000)"#;
    sqlx::raw_sql(sql).execute(&db.pool).await.unwrap();
    let with = |args: &[(&str, &str)]| {
        let args = args.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        JobFilter { args, ..JobFilter::default() }
    };
    assert_eq!(pages(&db, &with(&[("date", "2026-01-20")])).await, (2, 3));
    assert_eq!(pages(&db, &with(&[("date", "2026-01-20"), ("at.page", "3")])).await, (2, 3));
    assert_eq!(pages(&db, &with(&[("date", "2026-01-20"), ("at.page", "4")])).await, (0, 3));
    assert_eq!(pages(&db, &with(&[("nothing", "3")])).await, (0, 3));
    let ids = sqlx::query_scalar("select id from queue.jobs where seq in (7, 8, 20000)");
    let ids: Vec<Uuid> = ids.fetch_all(&db.pool).await.unwrap();
    let some = JobFilter { ids: Some(ids), ..JobFilter::default() };
    assert_eq!(pages(&db, &some).await, (3, 1));
    let both = JobFilter { args: with(&[("date", "2026-01-20")]).args, ..some };
    assert_eq!(pages(&db, &both).await, (2, 1));
}

#[tokio::test]
async fn time_is_translated_to_the_first_seq() {
    let db = many_jobs().await;
    let at = async |n: i64| -> DateTime<Utc> {
        let sql = "select created_at from queue.jobs where seq = $1";
        sqlx::query_scalar(sql).bind(n).fetch_one(&db.pool).await.unwrap()
    };
    let (from, to) = (at(3_000).await, at(20_000).await);
    let between =
        |after, before| JobFilter { created_after: after, created_before: before, ..JobFilter::default() };
    assert_eq!(pages(&db, &between(Some(from), Some(to))).await.0, 17_000);
    assert_eq!(pages(&db, &between(None, Some(from))).await.0, 2_999);
    assert_eq!(pages(&db, &between(Some(to), None)).await.0, 4_001);
    assert_eq!(pages(&db, &between(Some(to), Some(from))).await.0, 0);
    let last = at(JOBS).await;
    assert_eq!(pages(&db, &between(Some(last), None)).await, (1, 1));
    assert_eq!(pages(&db, &between(None, Some(at(1).await))).await, (0, 1));
    // When most jobs are deleted, the others are still found.
    sqlx::raw_sql("delete from queue.jobs where seq between 2 and 23000").execute(&db.pool).await.unwrap();
    assert_eq!(pages(&db, &between(None, Some(to))).await, (1, 1));
    assert_eq!(pages(&db, &between(Some(from), None)).await.0, 1_000);
}

#[tokio::test]
async fn running_jobs_are_found_through_the_claims() {
    let db = many_jobs().await;
    let worker = db.register_worker().await;
    sqlx::raw_sql("update queue.jobs set state = 'available' where seq > 23990")
        .execute(&db.pool)
        .await
        .unwrap();
    let mut conn = db.pool.acquire().await.unwrap();
    let claimed = weirgate_queue::worker::claim(&mut conn, worker, "default", 5).await.unwrap();
    let running = JobFilter { states: Some(vec![JobState::Running]), ..JobFilter::default() };
    let listed = read::list(&mut conn, &running, None, 500).await.unwrap();
    let ids = |ids: &mut dyn Iterator<Item = Uuid>| ids.collect::<HashSet<_>>();
    assert_eq!(
        ids(&mut listed.rows.iter().map(|row| row.id)),
        ids(&mut claimed.iter().map(|job| job.run.job))
    );
    assert_eq!((claimed.len(), listed.next), (5, None));
}

#[tokio::test]
async fn concurrent_readers_each_get_their_own_job() {
    let db = many_jobs().await;
    let ids: Vec<Uuid> = sqlx::query_scalar("select id from queue.jobs where seq <= 300 order by seq")
        .fetch_all(&db.pool)
        .await
        .unwrap();
    let reader = read::Reader::start(db.pool.clone(), QueueViews::new(db.pool.clone()));
    // Some ask for the same job, and some for jobs that do not exist.
    let asked: Vec<Uuid> = ids.iter().copied().chain([ids[0], Uuid::nil(), ids[0]]).collect();
    let answers = futures_util::future::join_all(asked.iter().map(|id| reader.get(*id))).await;
    for (id, answer) in asked.iter().zip(answers) {
        let found = answer.unwrap().map(|row| row.0.id);
        assert_eq!(found, Some(*id).filter(|id| !id.is_nil()));
    }
}
