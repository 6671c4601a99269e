//! A tenant's reads see that tenant only, whatever the query forgot.

use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;
use weirgate_msp::{ComputeKpi, IngestTickets};

use crate::support::{Does, Step, TestApp, tenant};

async fn read_as(conn: &mut PgConnection, tenant: Option<Uuid>) {
    sqlx::query("set local role weirgate_tenant").execute(&mut *conn).await.unwrap();
    if let Some(tenant) = tenant {
        sqlx::query("select set_config('weirgate.tenant', $1, true)")
            .bind(tenant.to_string())
            .execute(conn)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_query_without_where_sees_one_tenant() {
    let app = TestApp::new().await;
    let row = |id: &str| {
        format!(
            r#"{{"cw_ticket_id":"{id}","status":"New","priority":"Low","created_at_remote":"2026-01-20T09:00:00Z","updated_at_remote":"2026-01-20T09:00:00Z"}}"#
        )
    };
    let mut ids = Vec::new();
    for slug in ["here", "there"] {
        ids.push(tenant(&app.db.pool, slug, "UTC").await.id);
        app.write(&format!("{slug}/tickets.jsonl"), row(slug) + "\nbad");
        app.run(&IngestTickets { tenant: slug.into() }).await.unwrap();
        app.run(&ComputeKpi { tenant: slug.into(), date: "2026-01-20".parse().unwrap() }).await.unwrap();
        app.db.enqueue(ids[ids.len() - 1], &Step::new(slug, Does::Succeed)).await;
    }
    for table in ["msp.raw_tickets", "msp.ingest_rejects", "msp.kpi_daily", "queue.jobs"] {
        let sql = format!("select tenant_id from {table}");
        let mut tx = app.db.pool.begin().await.unwrap();
        let all: Vec<Uuid> =
            sqlx::query_scalar(AssertSqlSafe(sql.clone())).fetch_all(&mut *tx).await.unwrap();
        assert_eq!(all.len(), 2, "{table}");
        read_as(&mut tx, Some(ids[0])).await;
        let own: Vec<Uuid> =
            sqlx::query_scalar(AssertSqlSafe(sql.clone())).fetch_all(&mut *tx).await.unwrap();
        assert_eq!(own, [ids[0]], "{table}");
        drop(tx);
        let mut tx = app.db.pool.begin().await.unwrap();
        read_as(&mut tx, None).await;
        let none: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut *tx).await.unwrap();
        assert!(none.is_empty(), "{table} without a tenant set");
    }
}

#[tokio::test]
async fn every_table_with_a_tenant_is_guarded() {
    let app = TestApp::new().await;
    let unguarded: Vec<String> = sqlx::query_scalar(
        "select c.oid::regclass::text from pg_class c join pg_attribute a on a.attrelid = c.oid
         where c.relkind in ('r', 'p') and a.attname = 'tenant_id' and not a.attisdropped and not c.relrowsecurity",
    )
    .fetch_all(&app.db.pool)
    .await
    .unwrap();
    assert!(unguarded.is_empty(), "no row-level security on {unguarded:?}");
}

#[tokio::test]
async fn the_role_reads_and_writes_nothing() {
    let app = TestApp::new().await;
    let mut tx = app.db.pool.begin().await.unwrap();
    read_as(&mut tx, Some(Uuid::nil())).await;
    let refused = sqlx::query("insert into msp.kpi_daily select * from msp.kpi_daily")
        .execute(&mut *tx)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("permission denied"), "{refused}");
}

#[tokio::test]
async fn every_column_is_commented() {
    let app = TestApp::new().await;
    let bare: Vec<String> = sqlx::query_scalar(
        "select c.oid::regclass || '.' || a.attname from pg_class c
         join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
         where c.relkind = 'r' and n.nspname in ('queue', 'identity', 'msp') and a.attnum > 0 and not a.attisdropped
           and c.relname <> '_sqlx_migrations' and col_description(c.oid, a.attnum) is null",
    )
    .fetch_all(&app.db.pool)
    .await
    .unwrap();
    assert!(bare.is_empty(), "no comment on {bare:?}");
}
