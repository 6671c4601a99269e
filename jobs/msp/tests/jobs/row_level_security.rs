//! A tenant's reads see that tenant only, whatever the query forgot.

use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;
use weirgate_msp::{ComputeKpi, IngestTickets};
use weirgate_test_support::{Does, Step, tenant};

use crate::support::new_app;

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
    let app = new_app().await;
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
async fn the_role_reads_and_writes_nothing() {
    let app = new_app().await;
    let mut tx = app.db.pool.begin().await.unwrap();
    read_as(&mut tx, Some(Uuid::nil())).await;
    let refused = sqlx::query("insert into msp.kpi_daily select * from msp.kpi_daily")
        .execute(&mut *tx)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("permission denied"), "{refused}");
}
