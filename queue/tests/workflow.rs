//! Jobs that wait on jobs.

use serde_json::json;
use uuid::Uuid;
use weirgate_queue::worker::{Finish, Outcome, claim, finish};
use weirgate_queue::{JobState, NewJob, OnFailure, QueueError, Workflow, control, enqueue};
use weirgate_test_support::{Does, Probe, TestDb, TestWorker};

use super::graph::{Graph, check, step};

async fn enqueue_all(db: &TestDb, jobs: Vec<NewJob>) {
    let mut tx = db.pool.begin().await.unwrap();
    enqueue(&mut tx, jobs).await.unwrap();
    tx.commit().await.unwrap();
}

async fn refused(db: &TestDb, workflow: Workflow) -> QueueError {
    let mut conn = db.pool.acquire().await.unwrap();
    let error = workflow.enqueue(&mut conn).await.unwrap_err();
    let jobs: i64 =
        sqlx::query_scalar("select count(*) from queue.jobs").fetch_one(&mut *conn).await.unwrap();
    assert_eq!(jobs, 0, "nothing is stored");
    error
}

#[tokio::test]
async fn cycle_is_refused_with_its_path() {
    let db = TestDb::new().await;
    let mut workflow = Workflow::new();
    workflow.add("start", step("start", Does::Succeed));
    workflow.add("a", step("a", Does::Succeed)).after("start").after("c");
    workflow.add("b", step("b", Does::Succeed)).after("a");
    workflow.add("c", step("c", Does::Succeed)).after("b");
    workflow.add("end", step("end", Does::Succeed)).after("c");
    let error = refused(&db, workflow).await;
    assert!(matches!(&error, QueueError::Cycle(path) if path == "a → b → c → a"), "{error}");
    let mut workflow = Workflow::new();
    workflow.add("a", step("a", Does::Succeed)).after("a");
    let error = refused(&db, workflow).await;
    assert!(matches!(&error, QueueError::Cycle(path) if path == "a → a"), "{error}");
    // A cycle of jobs that are enqueued without a workflow is refused, too.
    let (a, b) = (step("a", Does::Succeed), step("b", Does::Succeed));
    let (a_id, b_id) = (a.id, b.id);
    let jobs = vec![a.after(b_id, OnFailure::Cancel), b.after(a_id, OnFailure::Cancel)];
    let error = enqueue(&mut db.pool.acquire().await.unwrap(), jobs).await.unwrap_err();
    assert!(matches!(&error, QueueError::Cycle(path) if path.contains(&b_id.to_string())), "{error}");
}

#[tokio::test]
async fn duplicate_that_takes_a_place_must_not_close_a_cycle() {
    let db = TestDb::new().await;
    // The second `duplicate` is a duplicate of the first one, which waits on `b`, which waits on
    // the second.
    let duplicate = || step("duplicate", Does::Succeed);
    let (late, early) = (duplicate(), duplicate());
    let b = step("b", Does::Succeed).after(early.id, OnFailure::Cancel);
    let late = late.after(b.id, OnFailure::Cancel);
    let mut conn = db.pool.acquire().await.unwrap();
    let error = enqueue(&mut conn, vec![late, early, b]).await.unwrap_err();
    assert!(matches!(error, QueueError::Cycle(_)), "{error}");
    let jobs: i64 =
        sqlx::query_scalar("select count(*) from queue.jobs").fetch_one(&mut *conn).await.unwrap();
    assert_eq!(jobs, 0, "nothing is stored");
}

#[tokio::test]
async fn unknown_parent_and_repeated_name_are_refused() {
    let db = TestDb::new().await;
    let mut workflow = Workflow::new();
    workflow.add("kpis", step("kpis", Does::Succeed)).after("tickets");
    let error = refused(&db, workflow).await;
    assert!(matches!(error, QueueError::UnknownParent { .. }));
    assert!(error.to_string().contains(r#"kpis depends on "tickets""#), "{error}");
    let mut workflow = Workflow::new();
    workflow.add("a", step("one", Does::Succeed));
    workflow.add("a", step("two", Does::Succeed));
    assert!(matches!(refused(&db, workflow).await, QueueError::NameTaken(name) if name == "a"));
    let nobody = Uuid::now_v7();
    let job = step("orphan", Does::Succeed).after(nobody, OnFailure::Cancel);
    let mut workflow = Workflow::new();
    workflow.add("orphan", job);
    let error = refused(&db, workflow).await.to_string();
    assert!(error.contains(&format!("orphan depends on job {nobody}")), "{error}");
}

#[tokio::test]
async fn workflow_may_wait_on_outside_jobs_and_on_live_duplicates() {
    let db = TestDb::new().await;
    let outside = db.enqueue_new(step("outside", Does::Succeed)).await.id;
    let duplicate = db.enqueue_new(step("duplicate", Does::Succeed)).await.id;
    let mut workflow = Workflow::new();
    workflow.add("duplicate", step("duplicate", Does::Succeed));
    workflow.add("again", step("duplicate", Does::Succeed));
    let child =
        step("child", Does::Succeed).after(outside, OnFailure::Cancel).after(outside, OnFailure::Continue);
    workflow.add("child", child).after("duplicate").after("again");
    let mut conn = db.pool.acquire().await.unwrap();
    let enqueued = workflow.enqueue(&mut conn).await.unwrap();
    assert_eq!(enqueued.iter().map(|it| it.duplicate).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!((enqueued[0].id, enqueued[1].id), (duplicate, duplicate));
    let child = db.job(enqueued[2].id).await;
    let mut parents = vec![outside, duplicate];
    parents.sort_unstable();
    assert_eq!((child.pending_parents, child.depends_on), (2, parents));
    check(&db).await;
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    db.until(child.id, JobState::Completed).await;
    worker.stop().await;
    check(&db).await;
}

#[tokio::test]
async fn child_starts_after_all_its_parents() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let (a, b) = (step("a", Does::Gate), step("b", Does::Gate));
    let child = step("child", Does::Succeed).after(a.id, OnFailure::Cancel).after(b.id, OnFailure::Cancel);
    let (a_id, child_id) = (a.id, child.id);
    enqueue_all(&db, vec![a, b, child]).await;
    assert_eq!(db.job(child_id).await.state(), JobState::Waiting);
    let worker = TestWorker::start(&db, &probe);
    probe.open("a");
    db.until(a_id, JobState::Completed).await;
    assert_eq!(db.job(child_id).await.state(), JobState::Waiting);
    probe.open("b");
    db.until(child_id, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn failed_parent_cancels_its_descendants_or_lets_them_continue() {
    let db = TestDb::new().await;
    let parent = step("parent", Does::Discard);
    let child = step("child", Does::Succeed).after(parent.id, OnFailure::Cancel);
    let grandchild = step("grandchild", Does::Succeed).after(child.id, OnFailure::Cancel);
    let brave = step("brave", Does::Succeed).after(parent.id, OnFailure::Continue);
    let (child_id, grandchild_id, brave_id) = (child.id, grandchild.id, brave.id);
    enqueue_all(&db, vec![parent, child, grandchild, brave]).await;
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    db.until(brave_id, JobState::Completed).await;
    let child = db.until(child_id, JobState::Cancelled).await;
    assert_eq!(child.errors[0]["code"], "dependency_failed");
    db.until(grandchild_id, JobState::Cancelled).await;
    worker.stop().await;
    let refused =
        control::retry(&mut db.pool.acquire().await.unwrap(), child_id).await.unwrap_err().to_string();
    assert!(refused.contains("retry that one first"), "{refused}");
}

#[tokio::test]
async fn each_edge_applies_its_own_failure_policy() {
    // `mixed` needs b and continues without c; `late` continues after a cancelled job.
    let graph = Graph::new(&[
        "a",
        "b",
        "c",
        "mixed < b c?",
        "strict < b c",
        "late < strict?",
        "last < late mixed",
        "other < a c?",
    ])
    .await;
    graph.discard(&["c"]).await;
    assert_eq!(
        graph.states().await,
        "a:available b:available c:discarded mixed:waiting strict:cancelled late:available last:waiting other:waiting"
    );
    graph.complete(&["a", "b"]).await;
    graph.complete(&["late", "mixed", "other"]).await;
    assert_eq!(
        graph.states().await,
        "a:completed b:completed c:discarded mixed:completed strict:cancelled late:completed last:available \
         other:completed"
    );
    let strict = graph.db.job(graph.id("strict")).await;
    let why = strict.errors[0]["message"].as_str().unwrap();
    assert!(why.contains(&graph.id("c").to_string()) && why.ends_with("was discarded"), "{why}");
    check(&graph.db).await;
}

#[tokio::test]
async fn parent_that_is_final_at_enqueue_does_not_delay_its_child() {
    let db = TestDb::new().await;
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    let parent = db.enqueue_new(step("parent", Does::Succeed)).await.id;
    let failed = db.enqueue_new(step("failed", Does::Discard)).await.id;
    db.until(parent, JobState::Completed).await;
    db.until(failed, JobState::Discarded).await;
    let child = db.enqueue_new(step("child", Does::Succeed).after(parent, OnFailure::Cancel)).await.id;
    db.until(child, JobState::Completed).await;
    let brave = db.enqueue_new(step("brave", Does::Succeed).after(failed, OnFailure::Continue)).await.id;
    db.until(brave, JobState::Completed).await;
    let doomed =
        step("doomed", Does::Succeed).after(failed, OnFailure::Cancel).after(parent, OnFailure::Cancel);
    let below = step("below", Does::Succeed).after(doomed.id, OnFailure::Cancel);
    let (doomed_id, below_id) = (doomed.id, below.id);
    enqueue_all(&db, vec![below, doomed]).await;
    assert_eq!(db.job(doomed_id).await.state(), JobState::Cancelled);
    assert_eq!(db.job(below_id).await.state(), JobState::Cancelled);
    worker.stop().await;
    check(&db).await;
}

#[tokio::test]
async fn ten_parents_that_end_at_once_release_their_child_once() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(TestWorker::start(&db, &probe));
    }
    for round in 0..5 {
        let parents: Vec<NewJob> = (0..10).map(|i| step(&format!("{round}/{i}"), Does::Succeed)).collect();
        let child = parents.iter().fold(step(&format!("{round}/child"), Does::Succeed), |job, parent| {
            job.after(parent.id, OnFailure::Cancel)
        });
        let id = child.id;
        enqueue_all(&db, parents.into_iter().chain([child]).collect()).await;
        let done = db.until(id, JobState::Completed).await;
        assert_eq!((done.pending_parents, done.run), (0, 1));
    }
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn workflow_whose_last_job_is_live_is_not_stored_again() {
    let db = TestDb::new().await;
    let workflow = || {
        let mut workflow = Workflow::new();
        workflow.add("last", step("last", Does::Succeed).unique_by("pipeline", "today")).after("first");
        workflow.add("first", step("first", Does::Succeed).not_unique());
        workflow
    };
    let mut conn = db.pool.acquire().await.unwrap();
    let one = workflow().enqueue_once(&mut conn, "last").await.unwrap();
    let two = workflow().enqueue_once(&mut conn, "last").await.unwrap();
    assert!(!one.duplicate && two.duplicate);
    assert_eq!(one.id, two.id);
    let jobs: i64 = sqlx::query_scalar("select count(*) from queue.jobs").fetch_one(&db.pool).await.unwrap();
    assert_eq!(jobs, 2);
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    db.until(one.id, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn job_reads_its_parents_and_their_outputs() {
    let db = TestDb::new().await;
    let mut workflow = Workflow::new();
    workflow.add("first", step("1", Does::Parents));
    workflow.add("left", step("2", Does::Parents)).after("first");
    workflow.add("right", step("3", Does::Discard)).after("first");
    let join = workflow.add("join", step("4", Does::ParentsOnSecond).max_attempts(2));
    join.after("left").after_with("right", OnFailure::Continue);
    let enqueued = workflow.enqueue(&mut db.pool.acquire().await.unwrap()).await.unwrap();
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    let retryable = db.until(enqueued[3].id, JobState::Retryable).await;
    assert_eq!(retryable.attempt, 1);
    sqlx::query("update queue.jobs set scheduled_at = queue.now() where id = $1")
        .bind(enqueued[3].id)
        .execute(&db.pool)
        .await
        .unwrap();
    let join = db.until(enqueued[3].id, JobState::Completed).await;
    assert_eq!(db.job(enqueued[0].id).await.output, Some(json!("")));
    assert_eq!(db.job(enqueued[1].id).await.output, Some(json!("first step completed \"\"")));
    let seen = join.output.unwrap();
    let [left, right] = seen.as_str().unwrap().split("; ").collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(left, r#"left step completed "first step completed \"\"""#);
    assert_eq!(right, "right step discarded null");
    worker.stop().await;
}

#[tokio::test]
async fn next_job_joins_the_workflow_on_request() {
    let db = TestDb::new().await;
    let mut workflow = Workflow::named("day").about("2026-01-20");
    let id = workflow.id();
    workflow.add("stays", step("stays", Does::ThenJoin("inside".to_owned())));
    workflow.add("leaves", step("leaves", Does::Then("outside".to_owned())));
    workflow.enqueue(&mut db.pool.acquire().await.unwrap()).await.unwrap();
    db.enqueue_new(step("alone", Does::ThenJoin("nowhere".to_owned()))).await;
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    for (label, expected) in [("inside", Some(id)), ("outside", None), ("nowhere", None)] {
        let found = async || {
            sqlx::query_scalar::<_, Uuid>("select id from queue.jobs where args ->> 'label' = $1")
                .bind(label)
                .fetch_optional(&db.pool)
                .await
                .unwrap()
        };
        let job = loop {
            if let Some(job) = found().await {
                break job;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        };
        assert_eq!(db.until(job, JobState::Completed).await.workflow_id, expected, "{label}");
        let subject = db.job(job).await.subject;
        assert_eq!(
            subject.as_deref(),
            expected.map(|_| "2026-01-20"),
            "{label}: about the same as the workflow"
        );
    }
    worker.stop().await;
}

#[tokio::test]
async fn retried_parent_is_waited_for_again_and_counts_once() {
    let db = TestDb::new().await;
    let (a, b) = (step("a", Does::Succeed), step("b", Does::Succeed));
    let child = step("child", Does::Succeed).after(a.id, OnFailure::Continue).after(b.id, OnFailure::Cancel);
    let (a, b, child) = {
        let ids = (a.id, b.id, child.id);
        enqueue_all(&db, vec![a, b, child]).await;
        ids
    };
    let mut conn = db.pool.acquire().await.unwrap();
    for _ in 0..2 {
        control::cancel(&mut conn, a).await.unwrap();
        assert_eq!(db.job(child).await.state(), JobState::Waiting, "on b");
        control::retry(&mut conn, a).await.unwrap();
    }
    let worker = db.register_worker().await;
    for (parent, then) in [(b, JobState::Waiting), (a, JobState::Available)] {
        let jobs = claim(&mut conn, worker, "default", 10).await.unwrap();
        // Only the named job ends; the other one is handed back.
        let finishes = jobs.iter().map(|job| {
            let outcome = if job.run.job == parent {
                Outcome::Completed { output: serde_json::Value::Null, next: Vec::new() }
            } else {
                Outcome::HandedBack
            };
            Finish::of(&job.run, outcome)
        });
        finish(&mut conn, finishes.collect()).await.unwrap();
        assert_eq!(db.job(child).await.state(), then);
    }
}
