//! History: which life of the database the transaction ids in it belong to.
//!
//! Workers keep a view of each queue that they read on by transaction id. A database that was restored from a dump,
//! moved by replication, or promoted from a standby lives on with other ids, and without what its standby had not
//! received. So each view knows the history that it is of, as the row of `queue.history` names it: by the server's
//! system identifier, its timeline, and that ids only grow. Where any of these is another one, the history has ended.
//! One transaction then begins a new one: it drops what was written down of every queue's view and rebuilds it from
//! the jobs and the claims. Workers of the history that was lost end what they run, hand it back and register anew;
//! until they have, or their leases have run out, nobody claims, so that no limit is exceeded meanwhile.

use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

use crate::error::{QueueError, Result};
use crate::lanes::rebuild;
use crate::worker::listener::notify_queues;

/// Somebody has to compare: the server's process is another one than when this was done last.
const UNKNOWN: &str = "WG001";
/// A worker speaks of runs that it began in a history that was lost.
const WORKER_LOST: &str = "WG002";

/// What a new history began with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebased {
    /// The queues whose views were rebuilt.
    pub queues: Vec<String>,
    /// Sequences that stood behind the rows of their tables.
    pub advanced_sequences: i32,
}

/// Why a view, or a worker, cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It is not known whether this server goes on with the history.
    Unknown,
    /// The server has forgotten transactions that a view of this history has seen.
    WentBack(Uuid),
}

impl QueueError {
    /// Whether, and how, this tells of another history.
    pub(crate) fn history(&self) -> Option<Broken> {
        match self {
            Self::WentBack { history, .. } => Some(Broken::WentBack(*history)),
            _ => self.has_code(UNKNOWN).then_some(Broken::Unknown),
        }
    }

    /// Whether it tells that a worker's runs belong to a history that was lost.
    pub(crate) fn is_worker_of_lost_history(&self) -> bool {
        self.has_code(WORKER_LOST)
    }

    fn has_code(&self, code: &str) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(error)) if error.code().as_deref() == Some(code))
    }
}

/// Finds out how `error` came about, if it tells of another history, and begins a new one where that has to be. Whether
/// it did: what failed can be tried again then.
pub(crate) async fn recover(pool: &PgPool, error: &QueueError) -> Result<bool> {
    let Some(broken) = error.history() else { return Ok(false) };
    let pool = pool.clone();
    // Whoever waits for it may be gone before it is done; it is done all the same.
    let done = tokio::spawn(async move { confirm(&mut *pool.acquire().await?, broken).await }).await;
    done.map_err(|error| QueueError::Database(sqlx::Error::Io(std::io::Error::other(error))))??;
    Ok(true)
}

/// As [`compare`], on a connection without an open transaction.
pub(crate) async fn compare_on(conn: &mut PgConnection) -> Result<()> {
    let known = sqlx::query_scalar!("select queue.history_id()").fetch_one(&mut *conn).await;
    match known.map_err(QueueError::from) {
        Ok(_) => Ok(()),
        Err(error) => match error.history() {
            Some(broken) => confirm(conn, broken).await,
            None => Err(error),
        },
    }
}

/// Finds out whether this server goes on with the history that is recorded, if nobody has since it started.
pub(crate) async fn compare(pool: &PgPool) -> Result<()> {
    compare_on(&mut *pool.acquire().await?).await
}

/// Compares what is recorded with the server; where they differ, a new history begins.
async fn confirm(conn: &mut PgConnection, broken: Broken) -> Result<()> {
    let mut tx = conn.begin().await?;
    // Others wait here, and find then that it is done.
    let now = sqlx::query!(
        r#"select h.id, h.server_started = pg_postmaster_start_time() and h.table_oid = h.tableoid as "known!",
               c.system_identifier = h.system_identifier and queue.timeline() = h.timeline and h.table_oid = h.tableoid
                   and not exists (
                       select from queue.lane_log
                       where txid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint
                         and txid > pg_current_xact_id()::text::bigint) as "same!"
           from queue.history h cross join pg_control_system() c
           for update of h"#
    )
    .fetch_one(&mut *tx)
    .await?;
    let lost = match broken {
        Broken::WentBack(history) => now.id == history,
        Broken::Unknown if now.known => false,
        Broken::Unknown => !now.same,
    };
    if lost {
        let why = if now.same { "the server has forgotten transactions" } else { "it is another server's" };
        begin(&mut tx, why).await?;
    } else if !now.known {
        sqlx::query!("update queue.history set server_started = pg_postmaster_start_time()")
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Begins a new history in the caller's transaction, whatever the server is: for a database whose rows were put back in a
/// way that nothing shows. Commit soon: claims of all queues wait for it.
///
/// # Errors
/// When the database cannot be asked; nothing has changed then.
pub async fn rebase(conn: &mut PgConnection) -> Result<Rebased> {
    sqlx::query!("select id from queue.history for update").fetch_one(&mut *conn).await?;
    begin(conn, "somebody asked for it").await
}

/// The caller holds the row.
async fn begin(conn: &mut PgConnection, why: &str) -> Result<Rebased> {
    // It reads all jobs once, however many there are.
    sqlx::query!("select set_config('statement_timeout', '0', true)").fetch_one(&mut *conn).await?;
    let history = sqlx::query_scalar!(
        "update queue.history
         set id = gen_random_uuid(), timeline = queue.timeline(), table_oid = tableoid, since = queue.now(),
             server_started = pg_postmaster_start_time(),
             system_identifier = (select c.system_identifier from pg_control_system() c)
         returning id"
    )
    .fetch_one(&mut *conn)
    .await?;
    let advanced = sqlx::query_scalar!(r#"select queue.advance_sequences() as "advanced!""#)
        .fetch_one(&mut *conn)
        .await?;
    let queues = rebuild::queues(conn).await?;
    for queue in &queues {
        rebuild::run(conn, queue, history).await?;
    }
    // Whoever lived when this began is waited for, though nobody could renew a lease while it took longer than that.
    sqlx::query!(
        "update queue.workers
         set lease_until = greatest(lease_until, queue.now() + (clock_timestamp() - now()) + interval '10 seconds')
         where lease_until > queue.now() and clock_timestamp() - now() > interval '1 second'"
    )
    .execute(&mut *conn)
    .await?;
    notify_queues(conn, queues.iter().cloned()).await?;
    tracing::warn!(%history, why, ?queues, "a new history of the database begins; the queues' views are rebuilt");
    Ok(Rebased { queues, advanced_sequences: advanced })
}
