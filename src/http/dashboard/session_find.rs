//! Whose the session is that a cookie names, asked so that made-up cookies cost next to nothing and slow down nobody who is signed in.
//!
//! Sessions that were good before are looked up at once, each time, so that one that has ended is refused at once. All other cookies share a
//! few look-ups. That a session does not exist is remembered for a minute: its token is random and made here, so none begins under a hash
//! that somebody has made up. One that was ended by another role of its user stays so for that minute, should the role come back.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use sqlx::PgPool;

use super::session::{IDLE, LONGEST, Session};
use crate::http::Api;
use crate::http::problem::Problem;
use crate::http::recent::Recent;
use crate::http::slots::under;
use crate::users::{Role, User};

/// Of a token; what the database knows it by.
pub(super) type Hash = [u8; 32];

/// For so long it is remembered that a session does not exist.
const REMEMBERED: Duration = Duration::from_mins(1);

/// Most hashes that are remembered, of either kind: about 2 MB.
const MEMORY: usize = 10_000;

pub(super) fn hash(token: &str) -> Hash {
    Sha256::digest(token).into()
}

/// What this process has seen of sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    known: Recent<Hash, ()>,
    missing: Recent<Hash, Instant>,
}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self { known: Recent::new(MEMORY), missing: Recent::new(MEMORY) }
    }

    /// A session with this hash begins.
    pub(super) fn begins(&self, hash: Hash) {
        self.known.put(hash, ());
    }

    /// The session with this hash; none where it does not exist or has ended.
    pub(super) async fn find(&self, api: &Api, hash: Hash) -> Result<Option<Session>, Problem> {
        let found = if self.known.get(&hash).is_some() {
            find(api.pool.clone(), hash).await?
        } else if self.missing.get(&hash).is_some_and(|at| at.elapsed() < REMEMBERED) {
            return Ok(None);
        } else {
            under(api.slots.of_cookie().await?, find(api.pool.clone(), hash)).await?
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

async fn find(pool: PgPool, hash: Hash) -> sqlx::Result<Option<Session>> {
    let row = sqlx::query!(
        r#"select u.id, u.email, u.role, s.csrf, s.seen_at < queue.now() - interval '1 minute' as "stale!"
               from identity.sessions s join identity.users u on u.id = s.user_id
               where s.token_hash = $1 and s.seen_at > queue.now() - make_interval(secs => $2)
                 and s.created_at > queue.now() - make_interval(secs => $3)
                 and u.disabled_at is null and (s.role is null or s.role = u.role)"#,
        &hash,
        IDLE.as_secs_f64(),
        LONGEST.as_secs_f64()
    )
    .fetch_optional(&pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    if row.stale {
        let seen =
            sqlx::query!("update identity.sessions set seen_at = queue.now() where token_hash = $1", &hash);
        if let Err(error) = seen.execute(&pool).await {
            // The session is good all the same: pages go on where the database takes no writes.
            tracing::debug!(%error, "could not note the use of a session");
        }
    }
    Ok(Some(Session {
        user: User { id: row.id, email: row.email, role: Role::of(&row.role) },
        csrf: row.csrf,
        address: None,
    }))
}
