//! Bulk actions, step by step.

use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;
use weirgate_queue::control::bulk::{self, BulkAction, Cursor, StepResult};
use weirgate_queue::read::{self, JobFilter};
use weirgate_queue::{JobState, NewJob, OnFailure, control, enqueue};
use weirgate_test_support::{Does, Probe, Step, TestDb, TestWorker};

fn step(label: &str) -> NewJob {
    NewJob::of(Uuid::nil(), &Step::new(label, Does::Succeed)).unwrap()
}

fn labelled(text: &str) -> JobFilter {
    JobFilter { text: Some(text.to_owned()), ..JobFilter::default() }
}

async fn set_state(db: &TestDb, job: Uuid, state: JobState) {
    sqlx::query(
        "update queue.jobs set state = $2::text::queue.job_state, attempt = 3, pending_parents = 0,
             finalized_at = case when $3 then queue.now() end, progress = '{\"done\": 1, \"total\": 2, \"message\": \"\"}'
         where id = $1",
    )
    .bind(job)
    .bind(state.as_str())
    .bind(state.is_final())
    .execute(&db.pool)
    .await
    .unwrap();
}

async fn in_state(db: &TestDb, label: &str, state: JobState) -> Uuid {
    let job = db.enqueue_new(step(label)).await.id;
    set_state(db, job, state).await;
    job
}

/// Discarded jobs without unique keys, in order.
async fn dead_letters(db: &TestDb, count: i64) {
    sqlx::query(
        "insert into queue.jobs (id, tenant_id, queue, kind, state, max_attempts, args, created_at, scheduled_at, finalized_at)
         select gen_random_uuid(), $2, 'default', 'step', 'discarded', 3, '{}', queue.now(), queue.now(), queue.now()
         from generate_series(1, $1)",
    )
    .bind(count)
    .bind(Uuid::nil())
    .execute(&db.pool)
    .await
    .unwrap();
}

async fn count_in(db: &TestDb, state: JobState) -> i64 {
    sqlx::query_scalar("select count(*) from queue.jobs where state = $1::text::queue.job_state")
        .bind(state.as_str())
        .fetch_one(&db.pool)
        .await
        .unwrap()
}

async fn one_step(
    db: &TestDb,
    action: BulkAction,
    filter: &JobFilter,
    bound: i64,
    cursor: Cursor,
) -> StepResult {
    let mut tx = db.pool.begin().await.unwrap();
    let step = bulk::step(&mut tx, action, filter, (Uuid::nil(), bound), cursor).await.unwrap();
    tx.commit().await.unwrap();
    step
}

/// Takes all steps; returns how many jobs were changed and how many were skipped.
async fn walk(db: &TestDb, action: BulkAction, filter: &JobFilter) -> (u64, u64) {
    let mut sums = (0, 0);
    let mut next = Some(Cursor::default());
    for _ in 0..100 {
        let Some(cursor) = next else { return sums };
        let step = one_step(db, action, filter, i64::MAX, cursor).await;
        sums = (sums.0 + step.touched, sums.1 + step.skipped);
        next = step.next;
    }
    panic!("the bulk action does not end");
}

/// The row without the columns that differ between any two jobs.
async fn row(db: &TestDb, job: Uuid) -> Value {
    sqlx::query_scalar(
        "select to_jsonb(j) - '{id,seq,args,unique_key,live_key,created_at,scheduled_at}'::text[] from queue.jobs j where id = $1",
    )
    .bind(job)
    .fetch_one(&db.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn bulk_retry_does_what_single_retries_do() {
    let db = TestDb::new().await;
    let alone = in_state(&db, "alone", JobState::Discarded).await;
    let many = [
        in_state(&db, "many-1", JobState::Discarded).await,
        in_state(&db, "many-2", JobState::Cancelled).await,
    ];
    let completed = in_state(&db, "many-3", JobState::Completed).await;
    control::retry(&mut db.pool.acquire().await.unwrap(), alone).await.unwrap();
    assert_eq!(walk(&db, BulkAction::Retry, &labelled("many")).await, (2, 0));
    for job in many {
        assert_eq!(row(&db, job).await, row(&db, alone).await);
    }
    assert_eq!(db.job(completed).await.state(), JobState::Completed);
    let due: bool = sqlx::query_scalar("select bool_and(scheduled_at <= queue.now()) from queue.jobs")
        .fetch_one(&db.pool)
        .await
        .unwrap();
    assert!(due);
}

#[tokio::test]
async fn job_with_a_live_duplicate_is_skipped_and_does_not_block_the_others() {
    let db = TestDb::new().await;
    let first = in_state(&db, "duplicates", JobState::Discarded).await;
    let second = in_state(&db, "duplicates", JobState::Discarded).await;
    let dead = in_state(&db, "live", JobState::Discarded).await;
    let live = db.enqueue_new(step("live")).await.id;
    let other = in_state(&db, "other", JobState::Cancelled).await;
    assert_eq!(walk(&db, BulkAction::Retry, &JobFilter::default()).await, (2, 2));
    for (job, state) in [
        (first, JobState::Available),
        (second, JobState::Discarded),
        (dead, JobState::Discarded),
        (live, JobState::Available),
        (other, JobState::Available),
    ] {
        assert_eq!(db.job(job).await.state(), state);
    }
}

#[tokio::test]
async fn job_with_a_duplicate_that_commits_meanwhile_is_skipped() {
    let db = TestDb::new().await;
    let dead = in_state(&db, "late", JobState::Discarded).await;
    let other = in_state(&db, "other", JobState::Discarded).await;
    let mut enqueuing = db.pool.begin().await.unwrap();
    enqueue(&mut enqueuing, vec![step("late")]).await.unwrap();
    let walking = async { walk(&db, BulkAction::Retry, &JobFilter::default()).await };
    let committing = async {
        let mut blocked = false;
        while !blocked {
            blocked = sqlx::query_scalar("select exists (select from pg_locks where not granted)")
                .fetch_one(&db.pool)
                .await
                .unwrap();
        }
        enqueuing.commit().await.unwrap();
    };
    let (sums, ()) = tokio::join!(walking, committing);
    assert_eq!(sums, (1, 1));
    assert_eq!(db.job(dead).await.state(), JobState::Discarded);
    assert_eq!(db.job(other).await.state(), JobState::Available);
}

#[tokio::test]
async fn step_changes_at_most_a_thousand_jobs_and_meets_none_again() {
    let db = TestDb::new().await;
    dead_letters(&db, 2500).await;
    let filter = JobFilter { states: Some(vec![JobState::Discarded]), ..JobFilter::default() };
    let mut next = Some(Cursor::default());
    let mut touched = Vec::new();
    while let Some(cursor) = next {
        let step = one_step(&db, BulkAction::Retry, &filter, i64::MAX, cursor).await;
        touched.push(step.touched);
        next = step.next;
        sqlx::query("update queue.jobs set state = 'discarded' where state = 'available'")
            .execute(&db.pool)
            .await
            .unwrap();
    }
    assert_eq!(touched.iter().sum::<u64>(), 2500, "each once: {touched:?}");
    assert!(touched.iter().all(|it| *it <= 1000), "{touched:?}");
}

#[tokio::test]
async fn job_enqueued_after_the_action_is_not_changed() {
    let db = TestDb::new().await;
    let before = in_state(&db, "before", JobState::Discarded).await;
    let action = db.enqueue_new(step("action")).await.id;
    let after = in_state(&db, "after", JobState::Discarded).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let bound = bulk::upper_bound(&mut conn, action).await.unwrap();
    assert_eq!(bound, db.job(action).await.seq);
    for action in [BulkAction::Retry, BulkAction::Cancel] {
        let step = one_step(&db, action, &JobFilter::default(), bound, Cursor::default()).await;
        assert_eq!((step.touched, step.skipped, step.next), (1, 0, None), "{action}");
    }
    assert_eq!(db.job(before).await.state(), JobState::Cancelled);
    assert_eq!(db.job(action).await.state(), JobState::Available);
    assert_eq!(db.job(after).await.state(), JobState::Discarded);
}

#[tokio::test]
async fn children_are_retried_after_their_parents() {
    let db = TestDb::new().await;
    let parent = step("parent").not_unique();
    let child = step("child").after(parent.id, OnFailure::Cancel);
    let (parent_id, child_id) = (parent.id, child.id);
    let mut tx = db.pool.begin().await.unwrap();
    // The child is stored before its parent.
    enqueue(&mut tx, vec![child, parent]).await.unwrap();
    control::cancel(&mut tx, parent_id).await.unwrap();
    tx.commit().await.unwrap();
    assert!(db.job(child_id).await.seq < db.job(parent_id).await.seq);
    assert_eq!(db.job(child_id).await.state(), JobState::Cancelled);
    assert_eq!(walk(&db, BulkAction::Retry, &JobFilter::default()).await, (2, 0));
    assert_eq!(db.job(parent_id).await.state(), JobState::Available);
    let child = db.job(child_id).await;
    assert_eq!((child.state(), child.pending_parents), (JobState::Waiting, 1));
}

#[tokio::test]
async fn many_jobs_with_dependencies_take_several_steps() {
    let db = TestDb::new().await;
    let mut tx = db.pool.begin().await.unwrap();
    for i in 0..120 {
        let parent = step(&format!("parent-{i}"));
        let id = parent.id;
        let child = step(&format!("child-{i}")).after(id, OnFailure::Cancel);
        enqueue(&mut tx, vec![parent, child]).await.unwrap();
        control::cancel(&mut tx, id).await.unwrap();
    }
    tx.commit().await.unwrap();
    let filter = JobFilter::default();
    let first = one_step(&db, BulkAction::Retry, &filter, i64::MAX, Cursor::default()).await;
    assert_eq!((first.touched, first.skipped), (100, 0));
    assert!(first.next.is_some());
    assert_eq!(walk(&db, BulkAction::Retry, &filter).await, (140, 0));
    assert_eq!(
        (count_in(&db, JobState::Available).await, count_in(&db, JobState::Waiting).await),
        (120, 120)
    );
}

#[tokio::test]
async fn bulk_cancel_ends_waiting_jobs_and_propagates_to_their_children() {
    let db = TestDb::new().await;
    let parent = step("parent");
    let child = step("child").after(parent.id, OnFailure::Cancel);
    let (parent_id, child_id) = (parent.id, child.id);
    let mut tx = db.pool.begin().await.unwrap();
    enqueue(&mut tx, vec![parent, child]).await.unwrap();
    tx.commit().await.unwrap();
    let mut doomed = vec![parent_id];
    for state in [JobState::Scheduled, JobState::Retryable] {
        doomed.push(in_state(&db, &format!("parent-{state}"), state).await);
    }
    let completed = in_state(&db, "parent-completed", JobState::Completed).await;
    assert_eq!(walk(&db, BulkAction::Cancel, &labelled("parent")).await, (3, 0));
    for job in doomed {
        let job = db.job(job).await;
        assert!(job.state() == JobState::Cancelled && job.finalized_at.is_some());
    }
    assert_eq!(db.job(child_id).await.errors[0]["code"], "dependency_failed");
    assert_eq!(db.job(completed).await.state(), JobState::Completed);
}

#[tokio::test]
async fn bulk_cancel_asks_running_handlers_to_stop() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start_with(&db, &probe, |config| config.cancel_grace = Duration::from_mins(5));
    let job = db.enqueue(Uuid::nil(), &Step::new("polite", Does::GateOrCancel)).await.id;
    db.until(job, JobState::Running).await;
    assert_eq!(walk(&db, BulkAction::Cancel, &JobFilter::default()).await, (1, 0));
    db.until(job, JobState::Cancelled).await;
    worker.stop().await;
}

#[tokio::test]
async fn bulk_delete_keeps_jobs_that_an_unfinished_job_depends_on() {
    let db = TestDb::new().await;
    let needed = in_state(&db, "needed", JobState::Completed).await;
    let live = db.enqueue_new(step("live").after(needed, OnFailure::Cancel)).await.id;
    let old = in_state(&db, "old", JobState::Completed).await;
    let done = db.enqueue_new(step("done").after(old, OnFailure::Cancel)).await.id;
    set_state(&db, done, JobState::Discarded).await;
    assert_eq!(walk(&db, BulkAction::Delete, &JobFilter::default()).await, (2, 1));
    let left: Vec<Uuid> =
        sqlx::query_scalar("select id from queue.jobs order by seq").fetch_all(&db.pool).await.unwrap();
    assert_eq!(left, [needed, live]);
    assert_eq!(db.job(live).await.depends_on, [needed]);
    let edges: i64 =
        sqlx::query_scalar("select count(*) from queue.job_dependencies").fetch_one(&db.pool).await.unwrap();
    assert_eq!(edges, 1, "those of deleted jobs went with them");
}

#[tokio::test]
async fn bulk_action_changes_the_jobs_that_the_list_shows() {
    let db = TestDb::new().await;
    let tenant = Uuid::now_v7();
    let workflow = Uuid::now_v7();
    db.enqueue_new(step("a").workflow(workflow)).await;
    db.enqueue_new(NewJob::of(tenant, &Step::new("a 100%", Does::Succeed)).unwrap()).await;
    db.travel(Duration::from_hours(1)).await;
    let last = db.enqueue_new(step("b").delay(Duration::from_hours(1))).await.id;
    let backfill = Uuid::now_v7();
    sqlx::query("update queue.jobs set backfill_id = $1, queue = 'other', kind = 'odd' where id = $2")
        .bind(backfill)
        .bind(last)
        .execute(&db.pool)
        .await
        .unwrap();
    let at = Some(db.job(last).await.created_at);
    let all = JobFilter::default;
    let mut conn = db.pool.acquire().await.unwrap();
    for (filter, expected) in [
        (all(), 3),
        (JobFilter { states: Some(vec![JobState::Scheduled]), ..all() }, 1),
        (JobFilter { kind: Some("step".to_owned()), ..all() }, 2),
        (JobFilter { queue: Some("other".to_owned()), ..all() }, 1),
        (JobFilter { tenant: Some(tenant), ..all() }, 1),
        (JobFilter { tenant: Some(tenant), workflow: Some(workflow), ..all() }, 0),
        (JobFilter { workflow: Some(workflow), ..all() }, 1),
        (JobFilter { backfill: Some(backfill), ..all() }, 1),
        (JobFilter { created_after: at, ..all() }, 1),
        (JobFilter { created_before: at, ..all() }, 2),
        (labelled("%"), 1),
        (labelled("A"), 3),
    ] {
        let listed = read::list(&mut conn, &filter, None, 500).await.unwrap().rows.len();
        let budget = Duration::from_secs(10);
        let count = bulk::count(&mut conn, BulkAction::Cancel, &filter, i64::MAX, budget).await.unwrap();
        assert_eq!(
            (count.count, count.exact, listed),
            (expected, true, usize::try_from(expected).unwrap()),
            "{filter:?}"
        );
    }
}

#[tokio::test]
async fn count_says_when_it_is_not_exact() {
    let db = TestDb::new().await;
    dead_letters(&db, 40_000).await;
    let mut conn = db.pool.acquire().await.unwrap();
    for (budget, exact) in [(Duration::ZERO, false), (Duration::from_mins(1), true)] {
        let count = bulk::count(&mut conn, BulkAction::Delete, &JobFilter::default(), i64::MAX, budget)
            .await
            .unwrap();
        assert_eq!((count.exact, count.count == 40_000), (exact, exact), "{count:?}");
    }
}

#[tokio::test]
async fn scan_reads_along_an_index_in_a_generic_plan() {
    const SCAN: &str = include_str!("../src/control/bulk/scan.sql");
    let db = TestDb::new().await;
    dead_letters(&db, 20_000).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let types = "text, bigint, bigint, bigint, bigint, text[], text, text, uuid, uuid, uuid, timestamptz, timestamptz, text, uuid[], bigint, text[], text[], uuid[], text";
    let prepare = format!(
        "update queue.jobs set tenant_id = gen_random_uuid(), workflow_id = gen_random_uuid(), backfill_id = gen_random_uuid(), failure_id = seq, subject = seq where seq % 2 = 0; analyze queue.jobs; set plan_cache_mode = force_generic_plan; prepare w ({types}) as {SCAN}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(prepare)).execute(&mut *conn).await.unwrap();
    for (path, index) in [
        ("all", "jobs_seq"),
        ("tenant", "jobs_tenant"),
        ("workflow", "jobs_workflow"),
        ("backfill", "jobs_backfill"),
        ("failed", "jobs_cold"),
        ("failure", "jobs_failure"),
        ("ids", "jobs_pkey"),
        ("failing_subject", "jobs_failing_subject"),
    ] {
        let nil = Uuid::nil();
        let explain = format!(
            "explain (analyze, costs off, timing off, summary off) execute w ('{path}', 0, 1000000, 1000, 1000,
             '{{discarded,cancelled}}', null, null, '{nil}', '{nil}', '{nil}', null, null, null, '{{{nil}}}', 2, null, null, '{{}}', {})",
            if path == "failing_subject" { "'2'" } else { "null" }
        );
        let lines: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(explain)).fetch_all(&mut *conn).await.unwrap();
        let read: Vec<&String> = lines
            .iter()
            .filter(|line| {
                line.contains("Scan") && line.contains("on jobs") && !line.contains("never executed")
            })
            .collect();
        assert!(read.iter().any(|line| line.contains(&format!("Index Scan using {index} "))), "{lines:#?}");
        assert!(read.iter().all(|line| line.contains("Index Scan using")), "{lines:#?}");
    }
}
