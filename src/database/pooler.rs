//! A pooler between this program and Postgres must keep a session's server for it: `LISTEN`,
//! settings and prepared statements of a session belong to the server's side, and one that deals
//! servers out by transaction loses them without a word.

use std::time::Duration;

use anyhow::{Context, bail};
use sqlx::{Connection, PgConnection, PgPool, Row};
use weirgate_queue::within;

/// How often it is looked whether a session changes its server.
const LOOKS: usize = 3;

/// Refuses a pooler that deals its servers out by transaction or statement. An answer within
/// `deadline` tells.
pub(super) async fn require_sessions(pool: &PgPool, deadline: Duration) -> anyhow::Result<()> {
    let shared = within(deadline, shares_servers(pool)).await.context("asking how the database is pooled")?;
    if shared {
        bail!(
            "DATABASE_URL leads through a pooler that gives a connection another server for each transaction (pgbouncer: \
             pool_mode = transaction or statement). Weirgate listens for wake-ups and sets its sessions up, which is lost there. \
             Connect to Postgres itself, or have the pooler keep a server for each session (pgbouncer: pool_mode = session for this \
             database)"
        );
    }
    Ok(())
}

/// Whether one session is served by the server of another that is still there, or by several.
async fn shares_servers(pool: &PgPool) -> sqlx::Result<bool> {
    let (mut first, mut second) = (pool.acquire().await?, pool.acquire().await?);
    let server = pid(&mut first).await?;
    let mut shared = false;
    for _ in 0..LOOKS {
        // While this transaction lasts, its server is nobody else's: what a pooler gives the other
        // session now is another one.
        let opened = second.begin().await;
        let mut open = match opened {
            Ok(open) => open,
            // A pooler by statement refuses transactions.
            Err(sqlx::Error::Database(_)) => return Ok(true),
            Err(error) => return Err(error),
        };
        shared |= pid(&mut open).await? == server;
        // Where it has no other server, the question would wait for the end of the transaction.
        shared = shared || pid(&mut first).await? != server;
        open.rollback().await?;
        if shared {
            break;
        }
    }
    Ok(shared)
}

/// Of the Postgres process behind it; asked without a prepared statement, which such a pooler may
/// lose.
async fn pid(conn: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::raw_sql("select pg_backend_pid()").fetch_one(conn).await?.try_get(0)
}
