//! One leader among many hosts, by a lease in Postgres.
//!
//! A process may believe that it leads long after another took over: it was stopped, its clock is off, its network was
//! gone. So nothing is decided from memory. Each act of the leader is a transaction that holds a lock on the row
//! `queue.leader` and checks there that its term is the current one. A takeover changes the term, the row's key, and so
//! waits for acts under way; a renewal does not. A row, not an advisory lock: that one would live as long as a connection,
//! however long the process behind it is stopped.

use std::sync::Mutex;
use std::time::Duration;

use sqlx::{PgPool, Postgres, Transaction};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::error::Result;
use crate::worker::listener::notify_leader;

/// A candidate, and the leader while it holds the lease.
#[derive(Debug)]
pub struct Leader {
    pool: PgPool,
    holder: Uuid,
    host: String,
    lease: Duration,
    /// Its term, as far as it knows.
    term: Mutex<Option<i64>>,
    lost: Notify,
}

/// Where upkeep gets its transactions from. What is safe on any host takes them from the pool; what only the leader may
/// do takes them from the [`Leader`], which checks its lease in each.
pub trait Begin: Sync {
    /// A transaction to act in; `None` when this host must not act.
    fn begin(&self) -> impl Future<Output = Result<Option<Transaction<'static, Postgres>>>> + Send;
}

impl Begin for PgPool {
    async fn begin(&self) -> Result<Option<Transaction<'static, Postgres>>> {
        Ok(Some(Self::begin(self).await?))
    }
}

impl Begin for Leader {
    async fn begin(&self) -> Result<Option<Transaction<'static, Postgres>>> {
        let Some(term) = self.term() else { return Ok(None) };
        let mut tx = self.pool.begin().await?;
        // A process that is stopped in the middle of an act must not keep the row from its successor: Postgres ends a
        // transaction that is left idle for longer than the lease.
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
        self.forget(term);
        Ok(None)
    }
}

impl Leader {
    /// A candidate; it leads once [`run_once`](Self::run_once) says so, and for as long as that is called more often
    /// than once a `lease`.
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

    /// Renews the lease, or takes it when nobody holds it; answers whether this process leads.
    pub async fn run_once(&self) -> Result<bool> {
        // A lease that ran out is taken anew even by the one who held it, so that what it began before has no effect.
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
        let before = std::mem::replace(&mut *self.term.lock().expect("no panic while held"), term);
        match (before, term) {
            (None, Some(term)) => tracing::info!(term, "this process leads now"),
            (Some(_), None) => tracing::warn!("this process no longer leads"),
            _ => {}
        }
        Ok(term.is_some())
    }

    /// Gives the lease up, so that another host takes over at once.
    pub async fn resign(&self) -> Result<()> {
        let Some(term) = self.term.lock().expect("no panic while held").take() else { return Ok(()) };
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

    /// Whether it led when it last looked. Good for saving work; only [`Begin::begin`] knows.
    pub fn leads(&self) -> bool {
        self.term().is_some()
    }

    /// The database that it leads in.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// When to look again who leads.
    pub(crate) fn interval(&self) -> Duration {
        self.lease / 3
    }

    /// An act found that this process leads no longer.
    pub(crate) async fn lost(&self) {
        self.lost.notified().await;
    }

    fn term(&self) -> Option<i64> {
        *self.term.lock().expect("no panic while held")
    }

    fn forget(&self, lost: i64) {
        let mut term = self.term.lock().expect("no panic while held");
        if *term == Some(lost) {
            tracing::warn!(term = lost, "this process no longer leads");
            *term = None;
            self.lost.notify_one();
        }
    }
}
