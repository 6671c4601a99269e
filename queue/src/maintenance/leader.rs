//! One leader among many workers, by a lease in Postgres.
//!
//! A process may believe that it leads long after another took over: it was suspended, its clock is
//! wrong, or its network was down. So nothing is decided from memory. Everything that the leader
//! does is a transaction that holds a lock on the row `queue.leader` and checks there that its term
//! is the current one. A takeover changes the term, which is the row's key, and so waits for such
//! transactions; a renewal does not. The lease is a row rather than an advisory lock, as that would
//! live as long as a connection, however long the process behind it is suspended.

use std::time::Duration;

use parking_lot::Mutex;
use sqlx::{PgPool, Postgres, Transaction};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::error::Result;
use crate::worker::notify::notify_leader;

/// A candidate in the election, which is the leader while it holds the lease.
#[derive(Debug)]
pub struct Leader {
    pool: PgPool,
    holder: Uuid,
    host: String,
    lease: Duration,
    /// The term in which it leads, as far as it knows.
    term: Mutex<Option<i64>>,
    lost: Notify,
}

/// Begins the transactions of maintenance services. A pool does so for what any worker may do. For
/// what only the leader may do, the [`Leader`] does, which checks its lease in each transaction.
pub trait TransactionSource: Sync {
    /// Begins a transaction; `None` when this worker must do nothing, as it does not lead.
    fn begin(&self) -> impl Future<Output = Result<Option<Transaction<'static, Postgres>>>> + Send;
}

impl TransactionSource for PgPool {
    async fn begin(&self) -> Result<Option<Transaction<'static, Postgres>>> {
        Ok(Some(Self::begin(self).await?))
    }
}

impl TransactionSource for Leader {
    async fn begin(&self) -> Result<Option<Transaction<'static, Postgres>>> {
        let Some(term) = self.term() else { return Ok(None) };
        let mut tx = self.pool.begin().await?;
        // A process that is suspended in a transaction must not keep the row from its successor:
        // Postgres ends a transaction that is idle for longer than the lease.
        let leads = sqlx::query_scalar!(
            r#"select set_config('idle_in_transaction_session_timeout', $3, true) from queue.leader
               where holder = $1 and term = $2 and lease_until > queue.now() for key share"#,
            self.holder,
            term,
            self.lease.as_millis().to_string()
        )
        .fetch_optional(&mut *tx)
        .await?
        .is_some();
        if leads {
            return Ok(Some(tx));
        }
        tx.rollback().await?;
        self.step_down(term);
        Ok(None)
    }
}

impl Leader {
    /// A candidate. It leads once [`run_once`](Self::run_once) returns `true`, for as long as that
    /// is called more often than once a `lease`.
    pub fn new(pool: PgPool, host: impl Into<String>, lease: Duration) -> Self {
        Self {
            pool,
            holder: Uuid::now_v7(),
            host: host.into(),
            lease,
            term: Mutex::new(None),
            lost: Notify::new(),
        }
    }

    /// Renews the lease, or takes it when nobody holds it; returns whether this process leads.
    pub async fn run_once(&self) -> Result<bool> {
        // A lease that ran out begins a new term even for the process that held it, so that
        // transactions of the old term have no effect.
        let term = sqlx::query_scalar!(
            "update queue.leader
             set term = case when holder = $1 and lease_until > queue.now() then term else term + 1 end,
                 holder = $1, host = $2, pid = $3, lease_until = queue.now() + make_interval(secs => $4)
             where lease_until <= queue.now() or holder = $1
             returning term",
            self.holder,
            self.host,
            i32::try_from(std::process::id()).unwrap_or(0),
            self.lease.as_secs_f64()
        )
        .fetch_optional(&self.pool)
        .await?;
        let before = std::mem::replace(&mut *self.term.lock(), term);
        match (before, term) {
            (None, Some(term)) => tracing::info!(term, "this process leads now"),
            (Some(_), None) => tracing::warn!("this process no longer leads"),
            _ => {}
        }
        Ok(term.is_some())
    }

    /// Gives up the lease, so that another worker takes over at once.
    pub async fn resign(&self) -> Result<()> {
        let Some(term) = self.term.lock().take() else { return Ok(()) };
        let mut tx = self.pool.begin().await?;
        sqlx::query!(
            "update queue.leader set holder = null, host = null, pid = null, lease_until = queue.now()
             where holder = $1 and term = $2",
            self.holder,
            term
        )
        .execute(&mut *tx)
        .await?;
        notify_leader(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Whether it led when it last asked the database. This only saves work:
    /// [`TransactionSource::begin`] decides.
    pub fn leads(&self) -> bool {
        self.term().is_some()
    }

    /// The pool of the database that it leads in.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// How often the lease is renewed.
    pub(crate) fn interval(&self) -> Duration {
        self.lease / 3
    }

    /// Waits until a transaction has found that this process no longer leads.
    pub(crate) async fn lost(&self) {
        self.lost.notified().await;
    }

    fn term(&self) -> Option<i64> {
        *self.term.lock()
    }

    fn step_down(&self, lost: i64) {
        let mut term = self.term.lock();
        if *term == Some(lost) {
            tracing::warn!(term = lost, "this process no longer leads");
            *term = None;
            self.lost.notify_one();
        }
    }
}
