//! Who is signed in to the dashboard, by the hash of a random token that a cookie holds, and which
//! browsers people have signed in with before.

use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool};

use crate::users::{Role, User};

/// A session that is not used for so long has ended.
const IDLE: Duration = Duration::from_hours(8);

/// However it is used, a session has ended then.
const LONGEST: Duration = Duration::from_hours(7 * 24);

/// A browser is known for so long after a sign-in.
pub const KNOWN: Duration = Duration::from_hours(90 * 24);

/// Of a token; what the database knows it by.
pub type Hash = [u8; 32];

/// The hash of a token.
pub fn hash(token: &str) -> Hash {
    Sha256::digest(token).into()
}

/// A session that has not ended.
#[derive(Debug, Clone)]
pub struct Session {
    /// Who is signed in.
    pub user: User,
    /// What forms of its pages have to hold, so that no other site can send them.
    pub csrf: String,
}

/// Begins a session, under a token that nobody has seen before.
pub async fn begin(conn: &mut PgConnection, token: &Hash, user: &User, csrf: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into identity.sessions (token_hash, user_id, csrf, role) values ($1, $2, $3, $4)",
        token,
        user.id,
        csrf,
        user.role.as_str()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends a session, if there is one.
pub async fn end(conn: &mut PgConnection, token: &Hash) -> sqlx::Result<()> {
    sqlx::query!("delete from identity.sessions where token_hash = $1", token).execute(conn).await?;
    Ok(())
}

/// The session of that token; none where it does not exist or has ended.
pub async fn find(pool: &PgPool, token: &Hash) -> sqlx::Result<Option<Session>> {
    let row = sqlx::query!(
        r#"select u.id, u.email, u.role as "role: Role", s.csrf, s.seen_at < queue.now() - interval '1 minute' as "stale!"
               from identity.sessions s join identity.users u on u.id = s.user_id
               where s.token_hash = $1 and s.seen_at > queue.now() - make_interval(secs => $2)
                 and s.created_at > queue.now() - make_interval(secs => $3)
                 and u.disabled_at is null and (s.role is null or s.role = u.role)"#,
        token,
        IDLE.as_secs_f64(),
        LONGEST.as_secs_f64()
    )
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    if row.stale {
        let seen =
            sqlx::query!("update identity.sessions set seen_at = queue.now() where token_hash = $1", token);
        if let Err(error) = seen.execute(pool).await {
            // The session is good all the same: pages go on where the database takes no writes.
            tracing::debug!(%error, "could not note the use of a session");
        }
    }
    let user = User { id: row.id, email: row.email, role: row.role };
    Ok(Some(Session { user, csrf: row.csrf }))
}

/// Which of these sessions, by the hashes of their tokens, have not ended.
pub async fn still_signed_in(pool: &PgPool, sessions: &[Vec<u8>]) -> sqlx::Result<Vec<Vec<u8>>> {
    sqlx::query_scalar!(
        "select s.token_hash from identity.sessions s join identity.users u on u.id = s.user_id
         where s.token_hash = any($1) and s.seen_at > queue.now() - make_interval(secs => $2)
           and s.created_at > queue.now() - make_interval(secs => $3)
           and u.disabled_at is null and (s.role is null or s.role = u.role)",
        sessions,
        IDLE.as_secs_f64(),
        LONGEST.as_secs_f64()
    )
    .fetch_all(pool)
    .await
}

/// Whether the owner of `email` has signed in with the browser that has this token.
pub async fn knows_browser(pool: &PgPool, token: &Hash, email: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (
                select from identity.known_browsers b join identity.users u on u.id = b.user_id
                where b.token_hash = $1 and lower(u.email) = lower($2) and b.created_at > queue.now() - make_interval(secs => $3)
             ) as "known!""#,
        token,
        email,
        KNOWN.as_secs_f64()
    )
    .fetch_one(pool)
    .await
}

/// Knows a browser from now on by `token`, and no more by the one `before`; of each user the last
/// 20.
pub async fn remember_browser(
    conn: &mut PgConnection,
    token: &Hash,
    before: Option<Hash>,
    user: &User,
) -> sqlx::Result<()> {
    sqlx::query!(
        "with forgotten as (
                delete from identity.known_browsers where user_id = $2 and (token_hash = $3 or token_hash in (
                    select token_hash from identity.known_browsers where user_id = $2 order by created_at desc offset 19
                ))
             )
             insert into identity.known_browsers (token_hash, user_id) values ($1, $2)",
        token,
        user.id,
        before.map(|hash| hash.to_vec())
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets sessions that have ended and browsers that were not signed in with for long.
pub async fn prune(pool: &PgPool) -> sqlx::Result<u64> {
    let deleted = sqlx::query!(
        "with old as (
            delete from identity.known_browsers where created_at <= queue.now() - make_interval(secs => $3)
         )
         delete from identity.sessions where seen_at <= queue.now() - make_interval(secs => $1)
            or created_at <= queue.now() - make_interval(secs => $2)",
        IDLE.as_secs_f64(),
        LONGEST.as_secs_f64(),
        KNOWN.as_secs_f64()
    )
    .execute(pool)
    .await?
    .rows_affected();
    Ok(deleted)
}
