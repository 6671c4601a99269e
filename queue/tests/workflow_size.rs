//! Thousands of parents and children: bounded transactions, which a crash does not undo.

use serde_json::Value;
use weirgate_queue::JobState;
use weirgate_queue::worker::resolver;
use weirgate_test_support::TestDb;

use super::graph::{Graph, MAX_EDGES, check};

/// The most children that one transaction has written, and how many transactions have written any.
async fn largest_transaction(db: &TestDb) -> (i64, i64) {
    sqlx::query_as(
        "select max(rows), count(*) from (
             select count(*) as rows from queue.jobs where name <> 'parent' group by xmin::text) steps",
    )
    .fetch_one(&db.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn three_thousand_children_are_released_in_bounded_transactions_despite_a_crash() {
    let db = TestDb::new().await;
    let children: Vec<String> = (0..3000).map(|i| format!("child{i} < parent")).collect();
    let lines: Vec<&str> = ["parent"].into_iter().chain(children.iter().map(String::as_str)).collect();
    let graph = Graph::on(db, &lines).await;
    graph.complete(&["parent"]).await;
    let available = async || -> i64 {
        sqlx::query_scalar("select count(*) from queue.jobs where state = 'available'")
            .fetch_one(&graph.db.pool)
            .await
            .unwrap()
    };
    assert_eq!(available().await, MAX_EDGES, "the finish itself releases no more than one transaction may");
    // A resolver that dies in the middle of its work leaves what it has not done to the next one.
    let resolving = tokio::spawn({
        let pool = graph.db.pool.clone();
        async move { resolver::run_once(&pool).await }
    });
    sqlx::query(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()",
    )
    .execute(&graph.db.pool)
    .await
    .unwrap();
    let _ = resolving.await;
    graph.resolve().await;
    assert_eq!(available().await, 3000);
    let (largest, steps) = largest_transaction(&graph.db).await;
    assert_eq!((largest, steps), (MAX_EDGES, 3000 / MAX_EDGES));
    check(&graph.db).await;
}

#[tokio::test]
async fn failed_parent_of_three_thousand_chains_cancels_them_and_its_retry_retries_them_in_bounded_transactions()
 {
    let db = TestDb::new().await;
    let chains: Vec<String> =
        (0..1500).flat_map(|i| [format!("child{i} < parent"), format!("grandchild{i} < child{i}")]).collect();
    let lines: Vec<&str> = ["parent"].into_iter().chain(chains.iter().map(String::as_str)).collect();
    let graph = Graph::on(db, &lines).await;
    let count = async |state: &str| -> i64 {
        sqlx::query_scalar("select count(*) from queue.jobs where state = $1::queue.job_state")
            .bind(state)
            .fetch_one(&graph.db.pool)
            .await
            .unwrap()
    };
    graph.discard(&["parent"]).await;
    graph.resolve().await;
    assert_eq!(count("cancelled").await, 3000);
    assert!(largest_transaction(&graph.db).await.0 <= MAX_EDGES);
    check(&graph.db).await;
    graph.retry("parent").await.unwrap();
    graph.resolve().await;
    assert_eq!((count("cancelled").await, count("waiting").await), (0, 3000));
    assert!(largest_transaction(&graph.db).await.0 <= MAX_EDGES);
    check(&graph.db).await;
}

#[tokio::test]
async fn three_thousand_parents_that_end_in_groups_update_their_child_once_a_group() {
    let db = TestDb::new().await;
    let parents: Vec<String> = (0..3000).map(|i| format!("parent{i}")).collect();
    let child = format!("child < {}", parents.join(" "));
    let lines: Vec<&str> = parents.iter().map(String::as_str).chain([child.as_str()]).collect();
    let graph = Graph::on(db, &lines).await;
    sqlx::raw_sql(
        "create table writes (at bigint generated always as identity);
         create function count_write() returns trigger language plpgsql as $$ begin
             insert into writes default values; return new; end $$;
         create trigger count_write after update on queue.jobs for each row
             when (new.name = 'child') execute function count_write()",
    )
    .execute(&graph.db.pool)
    .await
    .unwrap();
    let names: Vec<&str> = parents.iter().map(String::as_str).collect();
    for group in names.chunks(500) {
        graph.complete(group).await;
    }
    let child = graph.db.job(graph.id("child")).await;
    assert_eq!((child.state(), child.pending_parents), (JobState::Available, 0));
    let writes: i64 =
        sqlx::query_scalar("select count(*) from writes").fetch_one(&graph.db.pool).await.unwrap();
    assert_eq!(writes, 6);
    check(&graph.db).await;
}

/// The plan of each statement that propagates reads edges and jobs by their keys only.
#[tokio::test]
async fn propagation_reads_by_index_only() {
    let db = TestDb::new().await;
    let lines: Vec<String> =
        (0..2000).map(|i| format!("job{i}{}", if i == 0 { "" } else { " < job0" })).collect();
    let graph = Graph::on(db, &lines.iter().map(String::as_str).collect::<Vec<_>>()).await;
    sqlx::raw_sql("analyze queue.jobs, queue.job_dependencies").execute(&graph.db.pool).await.unwrap();
    let edges = include_str!("../src/workflow/update_edges.sql");
    let children = include_str!("../src/workflow/update_children.sql");
    let count = include_str!("../src/workflow/count_edges.sql");
    let next = include_str!("../src/workflow/next_edges.sql");
    let defer = include_str!("../src/workflow/defer.sql");
    let one_job = "array[gen_random_uuid()], array[gen_random_uuid()]";
    let limited = &format!("{one_job}, 500");
    for (sql, types, args) in [
        (edges, "uuid[], uuid[]", one_job),
        (count, "uuid[], uuid[], bigint", limited),
        (next, "uuid[], uuid[], bigint", limited),
        (defer, "uuid[], uuid[]", one_job),
        (
            children,
            "uuid[], integer[], integer[], uuid[]",
            "array[gen_random_uuid()], '{-1}', '{0}', array[null::uuid]",
        ),
    ] {
        let mut tx = graph.db.pool.begin().await.unwrap();
        // The generic plan, which a prepared statement gets after some runs whatever the size of
        // its arrays.
        let prepare =
            format!("set local plan_cache_mode = force_generic_plan; prepare propagation ({types}) as {sql}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(prepare)).execute(&mut *tx).await.unwrap();
        let explain = format!("explain (format json) execute propagation ({args})");
        let plan: Value = sqlx::query_scalar(sqlx::AssertSqlSafe(explain))
            .persistent(false)
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        sqlx::raw_sql("deallocate propagation").execute(&mut *tx).await.unwrap();
        assert!(!plan.to_string().contains("Seq Scan"), "{plan:#}");
    }
}
