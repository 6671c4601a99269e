//! What grants are about, as it was at most five seconds ago. Those that are asked for at the same
//! moment are looked up by one query.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sqlx::PgPool;
use tokio::sync::Mutex as AsyncMutex;
use uuid::Uuid;

use crate::grants::{self, Subject};

/// For so long an answer of the database holds.
const HOLDS: Duration = Duration::from_secs(5);

/// Most grants that are remembered: about 10 MB.
const MOST: usize = 20_000;

#[derive(Debug, Clone)]
struct Seen {
    at: Instant,
    /// None where the grant has ended.
    subject: Option<Arc<Subject>>,
}

/// What a process has seen of grants.
#[derive(Debug)]
pub(super) struct Subjects {
    pool: PgPool,
    seen: Mutex<HashMap<Uuid, Seen>>,
    wanted: Mutex<Vec<Uuid>>,
    /// Held by whoever asks the database.
    turn: AsyncMutex<()>,
}

impl Subjects {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { pool, seen: Mutex::default(), wanted: Mutex::default(), turn: AsyncMutex::default() }
    }

    /// What a grant is about; `None` where it has ended.
    pub(super) async fn get(&self, grant: Uuid) -> sqlx::Result<Option<Arc<Subject>>> {
        let asked = Instant::now();
        if let Some(seen) = self.fresh(grant, asked.checked_sub(HOLDS)) {
            return Ok(seen.subject);
        }
        self.wanted.lock().push(grant);
        let _turn = self.turn.lock().await;
        // Whoever had the turn before may have asked for this one as well.
        if let Some(seen) = self.fresh(grant, Some(asked)) {
            return Ok(seen.subject);
        }
        let mut wanted = std::mem::take(&mut *self.wanted.lock());
        wanted.push(grant);
        wanted.sort_unstable();
        wanted.dedup();
        let at = Instant::now();
        let found = grants::live(&self.pool, &wanted).await?;
        let mut found: HashMap<Uuid, Arc<Subject>> =
            found.into_iter().map(|subject| (subject.grant, Arc::new(subject))).collect();
        let mut seen = self.seen.lock();
        if seen.len() + wanted.len() > MOST {
            seen.retain(|_, it| it.at.elapsed() < HOLDS);
        }
        if seen.len() + wanted.len() > MOST {
            seen.clear();
        }
        let answer = found.get(&grant).cloned();
        for grant in wanted {
            let subject = found.remove(&grant);
            if seen.get(&grant).is_none_or(|known| known.at <= at) {
                seen.insert(grant, Seen { at, subject });
            }
        }
        Ok(answer)
    }

    /// A grant has ended, whatever a look-up that is under way finds.
    pub(super) fn end(&self, grant: Uuid) {
        self.seen.lock().insert(grant, Seen { at: Instant::now(), subject: None });
    }

    fn fresh(&self, grant: Uuid, since: Option<Instant>) -> Option<Seen> {
        let seen = self.seen.lock();
        seen.get(&grant).filter(|it| since.is_none_or(|since| it.at >= since)).cloned()
    }
}
