//! How Postgres runs a statement.

use serde_json::Value;
use sqlx::PgConnection;

/// How jobs are read: the scans of a plan, which Postgres gives as JSON, each with its index. Of a
/// plan that was executed, only the scans that were.
pub fn jobs_scans(plan: &Value) -> Vec<String> {
    let text = |field| plan[field].as_str().unwrap_or_default();
    let is_executed = plan["Actual Loops"].as_i64() != Some(0);
    let scan = (text("Relation Name") == "jobs" && is_executed)
        .then(|| format!("{} {}", text("Node Type"), text("Index Name")));
    let inner = plan["Plans"].as_array().into_iter().flatten().flat_map(jobs_scans);
    scan.into_iter().chain(inner).collect()
}

/// Rows of a table of the engine's that this connection has read, as far as Postgres has not passed
/// that on to its statistics.
pub async fn rows_read(conn: &mut PgConnection, table: &str) -> i64 {
    sqlx::query_scalar(
        "select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables
         where schemaname = 'queue' and relname = $1",
    )
    .bind(table)
    .fetch_one(conn)
    .await
    .unwrap()
}
