//! Workflows that stopped: what a retry retries, and what a cancel ends.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;
use weirgate_queue::{JobState, OnFailure, QueueError, Workflow, control, workflow};
use weirgate_test_support::{Does, Probe, TestDb, TestWorker};

use super::graph::{Graph, check, step};

#[tokio::test]
async fn retry_retries_descendants_that_were_cancelled_because_of_the_job() {
    let graph = Graph::new(&["a", "b < a", "c < b", "d < c", "free < a?"]).await;
    graph.discard(&["a"]).await;
    assert_eq!(graph.states().await, "a:discarded b:cancelled c:cancelled d:cancelled free:available");
    for (job, by) in [("b", "a"), ("c", "b"), ("d", "c")] {
        assert_eq!(graph.db.job(graph.id(job)).await.cancelled_by, Some(graph.id(by)), "{job}");
    }
    assert_eq!(graph.retry("a").await.unwrap(), JobState::Available);
    assert_eq!(graph.states().await, "a:available b:waiting c:waiting d:waiting free:available");
    let revived = graph.db.job(graph.id("b")).await;
    assert_eq!(revived.cancelled_by, None);
    assert_eq!((revived.finalized_at, revived.errors[0]["code"].as_str()), (None, Some("dependency_failed")));
    check(&graph.db).await;
    graph.complete(&["free"]).await;
    for name in ["a", "b", "c", "d"] {
        graph.complete(&[name]).await;
    }
    assert_eq!(graph.states().await, "a:completed b:completed c:completed d:completed free:completed");
    check(&graph.db).await;
}

#[tokio::test]
async fn job_with_another_failed_parent_stays_cancelled_until_that_is_retried() {
    let graph = Graph::new(&["a", "b", "both < a b", "below < both"]).await;
    graph.discard(&["a"]).await;
    graph.discard(&["b"]).await;
    graph.retry("a").await.unwrap();
    assert_eq!(graph.states().await, "a:available b:discarded both:cancelled below:cancelled");
    check(&graph.db).await;
    let refused = graph.retry("both").await.unwrap_err().to_string();
    assert!(
        refused.contains(&graph.id("b").to_string()) && refused.contains("retry that one first"),
        "{refused}"
    );
    graph.complete(&["a"]).await;
    graph.retry("b").await.unwrap();
    assert_eq!(graph.states().await, "a:completed b:available both:waiting below:waiting");
    check(&graph.db).await;
    // It fails again, and is retried again.
    graph.discard(&["b"]).await;
    assert_eq!(graph.states().await, "a:completed b:discarded both:cancelled below:cancelled");
    graph.retry("b").await.unwrap();
    graph.complete(&["b"]).await;
    graph.complete(&["both"]).await;
    assert_eq!(graph.states().await, "a:completed b:completed both:completed below:available");
    check(&graph.db).await;
}

#[tokio::test]
async fn job_cancelled_by_hand_stays_cancelled_with_its_descendants() {
    let graph = Graph::new(&["a", "b < a", "below < b", "c < a", "unrelated < a"]).await;
    graph.cancel("b").await;
    graph.discard(&["a"]).await;
    assert_eq!(
        graph.states().await,
        "a:discarded b:cancelled below:cancelled c:cancelled unrelated:cancelled"
    );
    graph.retry("a").await.unwrap();
    assert_eq!(graph.states().await, "a:available b:cancelled below:cancelled c:waiting unrelated:waiting");
    // The other way round: it is retried, then cancelled by hand, then its parent fails again.
    graph.db.travel(Duration::from_secs(1)).await;
    graph.cancel("c").await;
    graph.discard(&["a"]).await;
    graph.retry("a").await.unwrap();
    assert_eq!(graph.states().await, "a:available b:cancelled below:cancelled c:cancelled unrelated:waiting");
    // Retried by hand, it waits.
    assert_eq!(graph.retry("b").await.unwrap(), JobState::Waiting);
    assert_eq!(graph.states().await, "a:available b:waiting below:waiting c:cancelled unrelated:waiting");
    check(&graph.db).await;
}

#[tokio::test]
async fn waiting_child_waits_for_the_retried_parent_and_released_child_continues() {
    let graph = Graph::new(&["a", "b", "waits < a? b", "gone < a?"]).await;
    graph.discard(&["a"]).await;
    assert_eq!(graph.states().await, "a:discarded b:available waits:waiting gone:available");
    graph.start(&["gone"]).await;
    graph.retry("a").await.unwrap();
    graph.complete(&["b"]).await;
    assert_eq!(graph.states().await, "a:available b:completed waits:waiting gone:running");
    graph.complete(&["a"]).await;
    assert_eq!(graph.states().await, "a:completed b:completed waits:available gone:running");
    check(&graph.db).await;
}

#[tokio::test]
async fn retried_child_keeps_its_scheduled_time() {
    let db = TestDb::new().await;
    let mut workflow = Workflow::new();
    workflow.add("a", step("a", Does::Succeed));
    workflow.add("later", step("later", Does::Succeed).delay(Duration::from_hours(1))).after("a");
    let ids = workflow.enqueue(&mut db.pool.acquire().await.unwrap()).await.unwrap();
    let graph = Graph::of(db, &["a", "later"], &ids);
    graph.discard(&["a"]).await;
    graph.retry("a").await.unwrap();
    graph.complete(&["a"]).await;
    assert_eq!(graph.states().await, "a:completed later:scheduled");
}

#[tokio::test]
async fn child_with_a_live_duplicate_stays_cancelled_and_the_retry_succeeds() {
    let graph = Graph::new(&["a", "duplicate < a", "below < duplicate", "other < a"]).await;
    graph.discard(&["a"]).await;
    let live = graph.db.enqueue_new(step("duplicate", Does::Succeed)).await;
    assert!(!live.duplicate);
    graph.retry("a").await.unwrap();
    assert_eq!(graph.states().await, "a:available duplicate:cancelled below:cancelled other:waiting");
    graph.complete(&["a"]).await;
    let refused = graph.retry("duplicate").await.unwrap_err().to_string();
    assert!(refused.contains(&live.id.to_string()), "{refused}");
    control::cancel(&mut graph.db.pool.acquire().await.unwrap(), live.id).await.unwrap();
    assert_eq!(graph.retry("duplicate").await.unwrap(), JobState::Available);
    assert_eq!(graph.states().await, "a:completed duplicate:available below:waiting other:available");
}

#[tokio::test]
async fn of_two_duplicates_below_one_job_one_is_retried() {
    let db = TestDb::new().await;
    let mut ids = Vec::new();
    let parent = db.enqueue_new(step("a", Does::Succeed).delay(Duration::from_hours(1))).await.id;
    for _ in 0..2 {
        let duplicate = step("duplicate", Does::Succeed).after(parent, OnFailure::Cancel);
        ids.push(db.enqueue_new(duplicate).await.id);
        let mut conn = db.pool.acquire().await.unwrap();
        control::cancel(&mut conn, parent).await.unwrap();
        if ids.len() == 1 {
            // The first one is final while the second is enqueued, so that both are stored.
            sqlx::query("update queue.jobs set unique_key = null where id = $1")
                .bind(ids[0])
                .execute(&mut *conn)
                .await
                .unwrap();
            control::retry(&mut conn, parent).await.unwrap();
        }
    }
    let mut conn = db.pool.acquire().await.unwrap();
    sqlx::query("update queue.jobs set unique_key = '\\x01' where id = any($1)")
        .bind(&ids)
        .execute(&mut *conn)
        .await
        .unwrap();
    control::retry(&mut conn, parent).await.unwrap();
    assert_eq!(db.job(ids[0]).await.state(), JobState::Waiting);
    assert_eq!(db.job(ids[1]).await.state(), JobState::Cancelled);
}

#[tokio::test]
async fn workflow_stopped_by_a_failure_runs_to_its_end_after_a_retry() {
    let db = TestDb::new().await;
    let mut workflow = Workflow::new();
    workflow.add("bad", step("bad", Does::DiscardOnce));
    workflow.add("next", step("next", Does::Parents)).after("bad");
    workflow.add("last", step("last", Does::Parents)).after("next");
    let ids = workflow.enqueue(&mut db.pool.acquire().await.unwrap()).await.unwrap();
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    db.until(ids[2].id, JobState::Cancelled).await;
    control::retry(&mut db.pool.acquire().await.unwrap(), ids[0].id).await.unwrap();
    let last = db.until(ids[2].id, JobState::Completed).await;
    assert!(last.output.unwrap().as_str().unwrap().starts_with("next step completed"));
    worker.stop().await;
    check(&db).await;
}

#[tokio::test]
async fn workflow_cancel_ends_waiting_jobs_and_asks_running_ones_to_stop() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let mut workflow = Workflow::new();
    let id = workflow.id();
    workflow.add("done", step("done", Does::Succeed));
    workflow.add("runs", step("runs", Does::GateOrCancel)).after("done");
    workflow.add("waits", step("waits", Does::Succeed)).after("runs");
    workflow.add("later", step("later", Does::Succeed).delay(Duration::from_hours(1)));
    workflow.add("brave", step("brave", Does::Succeed)).after_with("runs", OnFailure::Continue);
    let ids = workflow.enqueue(&mut db.pool.acquire().await.unwrap()).await.unwrap();
    let outside = step("outside", Does::Succeed).after(ids[2].id, OnFailure::Continue);
    let outside = db.enqueue_new(outside).await.id;
    let worker = TestWorker::start_with(&db, &probe, |config| config.cancel_grace = Duration::from_mins(5));
    db.until(ids[1].id, JobState::Running).await;
    while !probe.started().contains(&"runs".to_owned()) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut conn = db.pool.acquire().await.unwrap();
    assert_eq!(workflow::cancel(&mut conn, id).await.unwrap(), 4);
    for job in [ids[2], ids[3], ids[4]] {
        let job = db.job(job.id).await;
        assert_eq!((job.state(), job.cancelled_by), (JobState::Cancelled, Some(id)));
    }
    let told = db.until(ids[1].id, JobState::Cancelled).await;
    assert_eq!(told.cancelled_by, Some(id), "also one that ran");
    db.until(outside, JobState::Completed).await;
    assert_eq!(db.job(ids[0].id).await.state(), JobState::Completed);
    assert_eq!(workflow::cancel(&mut conn, id).await.unwrap(), 0, "again changes nothing");
    let unknown = workflow::cancel(&mut conn, Uuid::now_v7()).await.unwrap_err();
    assert!(matches!(unknown, QueueError::UnknownWorkflow(_)));
    worker.stop().await;
    check(&db).await;
}

#[tokio::test]
async fn cancel_of_a_large_workflow_counts_as_by_hand_for_every_job() {
    let lines: Vec<String> =
        (0..2500).map(|i| format!("job{i}{}", if i == 0 { "" } else { " < job0" })).collect();
    let graph = Graph::new(&lines.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut conn = graph.db.pool.acquire().await.unwrap();
    assert_eq!(workflow::cancel(&mut conn, graph.workflow).await.unwrap(), 2500);
    graph.resolve().await;
    check(&graph.db).await;
    graph.retry("job0").await.unwrap();
    graph.resolve().await;
    let live: i64 = sqlx::query_scalar("select count(*) from queue.jobs where state <> 'cancelled'")
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    assert_eq!(live, 1, "only what was retried");
}

/// Random graphs, random ends, cancels and retries: edges, counts and states of all children follow
/// from their parents.
#[tokio::test]
async fn states_follow_from_the_graph_after_random_changes() {
    for seed in 0..6 {
        let mut rng = StdRng::seed_from_u64(seed);
        let names: Vec<String> = (0..9).map(|i| format!("j{i}")).collect();
        let mut lines = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let parents: Vec<&str> =
                names[..at].iter().map(String::as_str).filter(|_| rng.random_ratio(3, 10)).collect();
            let parents = parents.join(" ");
            // In some graphs, the last edge of a job continues when its parent fails.
            let brave = if seed % 2 == 0 && !parents.is_empty() { "?" } else { "" };
            lines.push(if parents.is_empty() { name.clone() } else { format!("{name} < {parents}{brave}") });
        }
        let graph = Graph::new(&lines.iter().map(String::as_str).collect::<Vec<_>>()).await;
        for _ in 0..30 {
            let name = names[rng.random_range(0..names.len())].as_str();
            match (graph.db.job(graph.id(name)).await.state(), rng.random_range(0..4)) {
                (JobState::Available, 0) => graph.discard(&[name]).await,
                (JobState::Available, 1 | 2) => graph.complete(&[name]).await,
                (JobState::Discarded | JobState::Cancelled, 0..=2) => {
                    if let Err(error) = graph.retry(name).await {
                        assert!(matches!(error, QueueError::WrongState { .. }), "seed {seed}: {error}");
                    }
                }
                (_, 3) => graph.cancel(name).await,
                _ => {}
            }
            graph.resolve().await;
            check(&graph.db).await;
        }
    }
}
