//! Parents and children that change at once. Each race is pinned at its narrowest point: one
//! transaction stays open while the other goes on, and then the other way round.

use weirgate_queue::{JobState, OnFailure, control, enqueue, workflow};
use weirgate_test_support::{Does, TestDb};

use super::graph::{Graph, MAX_EDGES, check, completed, discarded, step};

#[tokio::test]
async fn workflow_cancel_after_an_open_finish_cancels_the_released_child() {
    let graph = Graph::new(&["parent", "child < parent"]).await;
    graph.start(&["parent"]).await;
    let mut finishing = graph.db.pool.begin().await.unwrap();
    graph.finish_on(&mut finishing, &["parent"], completed()).await;
    let (pool, id) = (graph.db.pool.clone(), graph.workflow);
    let cancelling =
        tokio::spawn(async move { workflow::cancel(&mut pool.acquire().await.unwrap(), id).await.unwrap() });
    graph.db.until_blocked().await;
    finishing.commit().await.unwrap();
    assert_eq!(cancelling.await.unwrap(), 1);
    assert_eq!(graph.states().await, "parent:completed child:cancelled");
    check(&graph.db).await;
}

#[tokio::test]
async fn finish_after_an_open_workflow_cancel_releases_no_child() {
    let graph = Graph::new(&["parent", "child < parent"]).await;
    graph.start(&["parent"]).await;
    let mut cancelling = graph.db.pool.begin().await.unwrap();
    assert_eq!(workflow::cancel(&mut cancelling, graph.workflow).await.unwrap(), 2);
    let finishing = async {
        let mut tx = graph.db.pool.begin().await.unwrap();
        graph.finish_on(&mut tx, &["parent"], completed()).await;
        tx.commit().await.unwrap();
    };
    let commit = async {
        graph.db.until_blocked().await;
        cancelling.commit().await.unwrap();
    };
    tokio::join!(finishing, commit);
    assert_eq!(graph.states().await, "parent:completed child:cancelled");
    check(&graph.db).await;
}

#[tokio::test]
async fn finish_beside_an_open_retry_is_counted() {
    let graph = Graph::new(&["bad", "good", "child < bad good"]).await;
    graph.discard(&["bad"]).await;
    graph.start(&["good"]).await;
    let mut retrying = graph.db.pool.begin().await.unwrap();
    control::retry(&mut retrying, graph.id("bad")).await.unwrap();
    let mut finishing = graph.db.pool.begin().await.unwrap();
    graph.finish_on(&mut finishing, &["good"], completed()).await;
    finishing.commit().await.unwrap();
    retrying.commit().await.unwrap();
    assert_eq!(graph.db.job(graph.id("child")).await.pending_parents, 2, "the child was locked");
    assert_eq!(graph.resolve().await, 1);
    check(&graph.db).await;
    graph.complete(&["bad"]).await;
    assert_eq!(graph.states().await, "bad:completed good:completed child:available");
}

#[tokio::test]
async fn retry_beside_an_open_finish_retries_the_child() {
    for (outcome, expected) in [(completed(), "waiting"), (discarded(), "cancelled")] {
        let graph = Graph::new(&["bad", "other", "child < bad other"]).await;
        graph.discard(&["bad"]).await;
        graph.start(&["other"]).await;
        let mut finishing = graph.db.pool.begin().await.unwrap();
        graph.finish_on(&mut finishing, &["other"], outcome).await;
        assert_eq!(graph.retry("bad").await.unwrap(), JobState::Available);
        finishing.commit().await.unwrap();
        assert_eq!(graph.resolve().await, 1);
        assert_eq!(graph.db.job(graph.id("child")).await.state().as_str(), expected);
        check(&graph.db).await;
    }
}

#[tokio::test]
async fn of_two_concurrent_finishes_exactly_one_releases_the_child() {
    let graph = Graph::new(&["a", "b", "child < a b"]).await;
    graph.start(&["a", "b"]).await;
    let mut one = graph.db.pool.begin().await.unwrap();
    let mut two = graph.db.pool.begin().await.unwrap();
    graph.finish_on(&mut one, &["a"], completed()).await;
    graph.finish_on(&mut two, &["b"], completed()).await;
    two.commit().await.unwrap();
    one.commit().await.unwrap();
    assert_eq!(graph.states().await, "a:completed b:completed child:waiting");
    assert_eq!(graph.resolve().await, 1);
    assert_eq!(graph.states().await, "a:completed b:completed child:available");
    check(&graph.db).await;
}

#[tokio::test]
async fn concurrent_finishes_resolvers_cancels_and_retries_lose_nothing() {
    for round in 0..10 {
        let graph = Graph::new(&["a", "b", "c", "child < a b", "other < b c?", "last < child other"]).await;
        graph.start(&["a", "b", "c"]).await;
        let end = async |name: &'static str, outcome| {
            let mut tx = graph.db.pool.begin().await.unwrap();
            graph.finish_on(&mut tx, &[name], outcome).await;
            tx.commit().await.unwrap();
            if round % 2 == 0 && name == "c" {
                graph.retry("c").await.unwrap();
            }
        };
        let cancel = async {
            if round % 3 == 0 {
                graph.cancel("child").await;
            }
        };
        tokio::join!(
            end("a", completed()),
            end("b", completed()),
            end("c", discarded()),
            cancel,
            graph.resolve(),
            graph.resolve()
        );
        graph.resolve().await;
        check(&graph.db).await;
    }
}

#[tokio::test]
async fn child_enqueued_while_its_parent_ends_is_released() {
    let db = TestDb::new().await;
    let parent = db.enqueue_new(step("parent", Does::Succeed)).await;
    let graph = Graph::of(db, &["parent"], &[parent]);
    graph.start(&["parent"]).await;
    let child = |name: &str| step(name, Does::Succeed).after(parent.id, OnFailure::Cancel);
    let mut enqueueing = graph.db.pool.begin().await.unwrap();
    let before = enqueue(&mut enqueueing, vec![child("before")]).await.unwrap()[0].id;
    let mut finishing = graph.db.pool.begin().await.unwrap();
    let finished = graph.finish_on(&mut finishing, &["parent"], completed());
    let commit = async {
        graph.db.until_blocked().await;
        enqueueing.commit().await.unwrap();
    };
    tokio::join!(finished, commit);
    // The other way round: the finish is written but not committed.
    let late = async {
        let mut tx = graph.db.pool.begin().await.unwrap();
        let id = enqueue(&mut tx, vec![child("after")]).await.unwrap()[0].id;
        tx.commit().await.unwrap();
        id
    };
    let commit = async {
        graph.db.until_blocked().await;
        finishing.commit().await.unwrap();
    };
    let (after, ()) = tokio::join!(late, commit);
    for job in [before, after] {
        assert_eq!(graph.db.job(job).await.state(), JobState::Available);
    }
    check(&graph.db).await;
}

/// A parent with more children than one transaction updates changes again while some edges still
/// hold its former state.
#[tokio::test]
async fn parent_that_changes_again_propagates_its_last_state() {
    let children: Vec<String> = (0..1500).map(|i| format!("child{i} < parent")).collect();
    let lines: Vec<&str> = ["parent"].into_iter().chain(children.iter().map(String::as_str)).collect();
    let graph = Graph::new(&lines).await;
    let count = async |state: &str| -> i64 {
        sqlx::query_scalar(
            "select count(*) from queue.jobs where state = $1::queue.job_state and name <> 'parent'",
        )
        .bind(state)
        .fetch_one(&graph.db.pool)
        .await
        .unwrap()
    };
    graph.discard(&["parent"]).await;
    assert_eq!((count("cancelled").await, count("waiting").await), (MAX_EDGES, 1500 - MAX_EDGES));
    graph.retry("parent").await.unwrap();
    graph.resolve().await;
    assert_eq!(count("waiting").await, 1500);
    check(&graph.db).await;
    // All edges are failed. The parent is retried and completes before most edges are updated.
    graph.discard(&["parent"]).await;
    graph.resolve().await;
    assert_eq!(count("cancelled").await, 1500);
    graph.retry("parent").await.unwrap();
    assert_eq!((count("cancelled").await, count("waiting").await), (1500 - MAX_EDGES, MAX_EDGES));
    graph.complete(&["parent"]).await;
    assert_eq!((count("cancelled").await, count("available").await), (1500 - MAX_EDGES, MAX_EDGES));
    graph.resolve().await;
    assert_eq!(count("available").await, 1500);
    check(&graph.db).await;
}
