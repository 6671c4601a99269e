//! The health of Postgres itself: what grows when something holds its vacuum or its listeners up.

use sqlx::PgConnection;
use weirgate_queue::read;

/// At one moment.
#[derive(Debug)]
pub(super) struct Database {
    /// Worker processes that live.
    pub(super) workers: usize,
    /// Seconds since the oldest open transaction began that keeps old rows from being removed.
    pub(super) oldest_snapshot: f64,
    /// Transactions since the oldest snapshot that anything holds: a session, a replication slot, a
    /// prepared transaction.
    pub(super) xmin_age: i64,
    /// The part of the queue of notifications that is full, 0 to 1.
    pub(super) notification_queue: f64,
    /// Of the engine's tables.
    pub(super) tables: Vec<Table>,
}

/// Rows of a table, as Postgres estimates them.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) live: i64,
    pub(super) dead: i64,
}

impl Database {
    pub(super) async fn read(conn: &mut PgConnection) -> weirgate_queue::Result<Self> {
        let workers = read::live_workers(conn).await?;
        let row = sqlx::query_file!("src/http/metrics/database.sql").fetch_one(&mut *conn).await?;
        let tables = sqlx::query_as!(
            Table,
            r#"select relname::text as "name!", n_live_tup as "live!", n_dead_tup as "dead!"
               from pg_stat_user_tables where schemaname = 'queue' order by relname"#
        )
        .fetch_all(conn)
        .await?;
        Ok(Self {
            workers,
            oldest_snapshot: row.oldest_snapshot,
            xmin_age: row.xmin_age,
            notification_queue: row.notification_queue,
            tables,
        })
    }
}
