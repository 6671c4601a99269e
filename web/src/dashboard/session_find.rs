//! Looks up the sessions that cookies name, so that made-up cookies cost next to nothing and slow
//! down nobody who is signed in.
//!
//! Sessions that were good before are looked up at once, each time, so that one that has ended is
//! refused at once. All other cookies share a few look-ups. That a session does not exist is
//! remembered for a minute: its token is random and made here, so none begins under a hash that
//! somebody has made up. One that was ended by another role of its user stays so for that minute,
//! should the role come back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use weirgate_identity::sessions::{self, Hash, Session};

use crate::permits::{Permits, under};
use crate::problem::Problem;
use crate::recent::Recent;

/// For so long it is remembered that a session does not exist.
const REMEMBERED: Duration = Duration::from_mins(1);

/// Most hashes that are remembered, of either kind: about 2 MB.
const MEMORY: usize = 10_000;

/// What this process has seen of sessions.
pub struct Sessions {
    pool: PgPool,
    permits: Arc<Permits>,
    known: Recent<Hash, ()>,
    missing: Recent<Hash, Instant>,
}

impl Sessions {
    /// Of a process that asks this database, under these permits.
    pub fn new(pool: PgPool, permits: Arc<Permits>) -> Self {
        Self { pool, permits, known: Recent::new(MEMORY), missing: Recent::new(MEMORY) }
    }

    /// A session with this hash begins.
    pub fn begins(&self, hash: Hash) {
        self.known.put(hash, ());
    }

    /// The session with this hash; none where it does not exist or has ended.
    pub async fn find(&self, hash: Hash) -> Result<Option<Session>, Problem> {
        let found = if self.known.get(&hash).is_some() {
            sessions::find(&self.pool, &hash).await?
        } else if self.missing.get(&hash).is_some_and(|at| at.elapsed() < REMEMBERED) {
            return Ok(None);
        } else {
            let pool = self.pool.clone();
            let look_up = async move { sessions::find(&pool, &hash).await };
            under(self.permits.of_cookie().await?, look_up).await?
        };
        if found.is_some() {
            self.known.put(hash, ());
        } else {
            self.known.forget(&hash);
            self.missing.put(hash, Instant::now());
        }
        Ok(found)
    }
}
