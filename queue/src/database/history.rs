//! The history of the database: which sequence of transactions the transaction ids in it belong to.
//!
//! Workers keep a view of each queue and read on from it by transaction id. A database that was
//! restored from a dump, moved by replication, or promoted from a standby continues with other ids,
//! and without what its standby had not received. So each view knows the history that it belongs
//! to, as the row of `queue.history` identifies it: by the server's system identifier, by its
//! timeline, and by the rule that ids only grow. Where any of these differs, the database was
//! restored or promoted and its history has ended.
//!
//! One transaction then begins a new history: it deletes the checkpoints of all views and rebuilds
//! the views from the jobs and the claims. Workers of the lost history stop what they run, hand it
//! back and register anew. Until they have done so, or their leases have run out, nobody claims, so
//! that no limit is exceeded in the meantime.

use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

use crate::enqueue::notify::notify_queues;
use crate::error::{QueueError, Result};
use crate::lanes::rebuild;

/// The SQLSTATE by which the database asks for a comparison: the server was restarted since the
/// last one.
const UNKNOWN: &str = "WG001";
/// The SQLSTATE by which the database refuses a worker that registered in a lost history.
const WORKER_LOST: &str = "WG002";

/// What beginning a new history changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebased {
    /// The queues whose views were rebuilt.
    pub queues: Vec<String>,
    /// Sequences that lagged behind the rows of their tables and were advanced.
    pub advanced_sequences: i32,
}

/// Why the history is in doubt, so that a view or a worker cannot continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HistoryDoubt {
    /// It is not known whether this server continues the recorded history.
    Unknown,
    /// The server has lost transactions that a view of this history has seen.
    WentBack(Uuid),
}

impl QueueError {
    /// Why this error puts the history in doubt, if it does.
    pub(crate) fn history_doubt(&self) -> Option<HistoryDoubt> {
        match self {
            Self::WentBack { history, .. } => Some(HistoryDoubt::WentBack(*history)),
            _ => self.has_code(UNKNOWN).then_some(HistoryDoubt::Unknown),
        }
    }

    /// Whether the database refused a worker because its runs belong to a lost history.
    pub(crate) fn is_worker_of_lost_history(&self) -> bool {
        self.has_code(WORKER_LOST)
    }

    fn has_code(&self, code: &str) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(error)) if error.code().as_deref() == Some(code))
    }
}

/// Resolves the doubt where `error` puts the history in doubt, and begins a new history if the old
/// one is lost. Returns whether there was a doubt: what failed can be tried again then.
pub(crate) async fn recover(pool: &PgPool, error: &QueueError) -> Result<bool> {
    let Some(doubt) = error.history_doubt() else { return Ok(false) };
    let pool = pool.clone();
    // In a task of its own: it must be completed even when the caller is dropped meanwhile.
    let done = tokio::spawn(async move { resolve(&mut *pool.acquire().await?, doubt).await }).await;
    done.map_err(|error| QueueError::Database(sqlx::Error::Io(std::io::Error::other(error))))??;
    Ok(true)
}

/// As [`compare`], on a connection without an open transaction.
pub(crate) async fn compare_on(conn: &mut PgConnection) -> Result<()> {
    let known = sqlx::query_scalar!("select queue.history_id()").fetch_one(&mut *conn).await;
    match known.map_err(QueueError::from) {
        Ok(_) => Ok(()),
        Err(error) => match error.history_doubt() {
            Some(doubt) => resolve(conn, doubt).await,
            None => Err(error),
        },
    }
}

/// Checks whether this server continues the recorded history, unless that was done since it
/// started.
pub(crate) async fn compare(pool: &PgPool) -> Result<()> {
    compare_on(&mut *pool.acquire().await?).await
}

/// Compares the recorded history with the server and begins a new one where they differ.
async fn resolve(conn: &mut PgConnection, doubt: HistoryDoubt) -> Result<()> {
    let mut tx = conn.begin().await?;
    // Other processes wait for the row's lock here, and then find the doubt resolved.
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
    let lost = match doubt {
        HistoryDoubt::WentBack(history) => now.id == history,
        HistoryDoubt::Unknown if now.known => false,
        HistoryDoubt::Unknown => !now.same,
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

/// Begins a new history in the caller's transaction without comparing anything: for a database
/// whose rows were restored in a way that leaves no trace. Commit soon, as claims of all queues
/// wait for the transaction.
///
/// # Errors
/// When a statement fails; nothing has changed then.
pub async fn rebase(conn: &mut PgConnection) -> Result<Rebased> {
    sqlx::query!("select id from queue.history for update").fetch_one(&mut *conn).await?;
    begin(conn, "somebody asked for it").await
}

/// Begins a new history; the caller has locked the row of `queue.history`.
async fn begin(conn: &mut PgConnection, why: &str) -> Result<Rebased> {
    // Rebuilding the views reads all jobs once, however many there are.
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
    // Workers that were alive when this began get time to hand back what they run, even where this
    // took so long that no lease could be renewed meanwhile.
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
