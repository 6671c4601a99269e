//! What all tables of the program have in common, whichever schema they are in.

use crate::support::database;

#[tokio::test]
async fn every_table_with_a_tenant_is_guarded() {
    let db = database().await;
    let unguarded: Vec<String> = sqlx::query_scalar(
        "select c.oid::regclass::text from pg_class c join pg_attribute a on a.attrelid = c.oid
         where c.relkind in ('r', 'p') and a.attname = 'tenant_id' and not a.attisdropped and not c.relrowsecurity",
    )
    .fetch_all(&db.pool)
    .await
    .unwrap();
    assert!(unguarded.is_empty(), "no row-level security on {unguarded:?}");
}

#[tokio::test]
async fn every_column_is_commented() {
    let db = database().await;
    let bare: Vec<String> = sqlx::query_scalar(
        "select c.oid::regclass || '.' || a.attname from pg_class c
         join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
         where c.relkind = 'r' and n.nspname in ('queue', 'identity', 'msp') and a.attnum > 0 and not a.attisdropped
           and c.relname <> '_sqlx_migrations' and col_description(c.oid, a.attnum) is null",
    )
    .fetch_all(&db.pool)
    .await
    .unwrap();
    assert!(bare.is_empty(), "no comment on {bare:?}");
}
