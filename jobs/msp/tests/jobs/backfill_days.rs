//! The days of a backfill, in a table with many jobs.

use serde_json::Value;
use sqlx::AssertSqlSafe;
use uuid::Uuid;
use weirgate_test_support::jobs_scans;

use crate::support::database;

const ID: Uuid = Uuid::from_u128(7);

/// 400 days of 50 tenants, the newest day first.
const SLICES: &str = "insert into queue.jobs (id, tenant_id, queue, kind, state, max_attempts, args, subject, backfill_id, created_at, scheduled_at)
    select gen_random_uuid(), lpad((slice % 50)::text, 32, '0')::uuid, 'kpi', 'compute_kpi', 'completed', 3,
        '{}', (date '2026-12-31' - (slice / 50)::integer)::text, $1, queue.now(), queue.now()
    from generate_series(0, 19999) as slice";

#[tokio::test]
async fn a_month_costs_a_month_whatever_the_plan() {
    const DAYS: &str = include_str!("../../../../queue/src/backfill/slice_states.sql");
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    for sql in [
        "set plan_cache_mode = force_generic_plan",
        &format!("prepare days (uuid, text, text, uuid[], text, text, boolean, bigint) as {DAYS}"),
    ] {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut *conn).await.unwrap();
    }
    let mut explain = async |options: &str| -> Value {
        let tenants = (0..10).map(|n| Uuid::from_u128(n).to_string()).collect::<Vec<_>>().join(",");
        let sql = format!(
            "explain ({options} costs off, timing off, summary off, format json)
             execute days ('{ID}', 'kpi', 'compute_kpi', '{{{tenants}}}', '2026-06-30', '2026-06-01', true, 30)"
        );
        let explained: Value = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *conn).await.unwrap();
        explained[0]["Plan"].clone()
    };
    // The plan of an empty table is kept; another one is made once it is known what is there.
    let read = jobs_scans(&explain("").await);
    assert!(read.iter().any(|scan| scan == "Index Scan jobs_sublane"), "{read:?}");
    sqlx::query(SLICES).bind(ID).execute(&db.pool).await.unwrap();
    for then in ["analyze queue.jobs", "select"] {
        let executed = explain("analyze, buffers,").await;
        assert_eq!(executed["Actual Rows"], 300, "{executed:#}");
        let blocks =
            ["Shared Hit Blocks", "Shared Read Blocks"].map(|field| executed[field].as_i64().unwrap());
        // 300 jobs, some steps to where the month begins and ends, and not the 20,000 of the
        // backfill.
        assert!(blocks.iter().sum::<i64>() < 900, "{executed:#}");
        sqlx::raw_sql(then).execute(&db.pool).await.unwrap();
    }
}
