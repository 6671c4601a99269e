//! Who is signed in, by the hash of a random token that a cookie holds, and which browsers people
//! have signed in with before.

mod list;

use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::platform::Role;

pub use list::{Listed, end_one, of_account};

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
    /// Names it where its token must not be.
    pub id: Uuid,
    /// Who is signed in.
    pub account: Uuid,
    /// What they sign in with.
    pub email: String,
    /// For people; empty where it is not known.
    pub full_name: String,
    /// What they may do on the dashboard, if anything.
    pub role: Option<Role>,
    /// What forms of its pages have to hold, so that no other site can send them.
    pub csrf: String,
}

/// A session about to begin.
#[derive(Debug)]
pub struct New<'a> {
    /// Of a token that nobody has seen before.
    pub token: &'a Hash,
    /// Who signs in.
    pub account: Uuid,
    /// That of the account when its password was checked.
    pub token_epoch: i32,
    /// What its forms have to hold.
    pub csrf: &'a str,
    /// Where the sign-in comes from.
    pub address: Option<String>,
    /// What the browser calls itself; what is too long is cut off.
    pub user_agent: Option<&'a str>,
}

/// Begins a session; false where the account was disabled or its sign-ins ended since its password was
/// checked.
pub async fn begin(conn: &mut PgConnection, new: New<'_>) -> sqlx::Result<bool> {
    // Who changes the account meanwhile is waited for, or waits.
    let begun = sqlx::query!(
        "insert into identity.sessions (token_hash, user_id, csrf, address, user_agent, role)
         select $1, a.id, $3, $4, left($5, 300),
            (select role from identity.memberships
             where account_id = $2 and app = 'platform' and disabled_at is null)
         from identity.accounts a where a.id = $2 and a.token_epoch = $6 and a.disabled_at is null
         for key share",
        new.token,
        new.account,
        new.csrf,
        new.address,
        new.user_agent,
        new.token_epoch
    )
    .execute(conn)
    .await?;
    Ok(begun.rows_affected() > 0)
}

/// Ends a session, if there is one.
pub async fn end(conn: &mut PgConnection, token: &Hash) -> sqlx::Result<()> {
    sqlx::query!("delete from identity.sessions where token_hash = $1", token).execute(conn).await?;
    Ok(())
}

/// The session of that token; none where it does not exist or has ended.
pub async fn find(pool: &PgPool, token: &Hash) -> sqlx::Result<Option<Session>> {
    let row = sqlx::query!(
        r#"select s.id, s.user_id, a.email, a.full_name, s.csrf, s.role as "role?: Role",
            s.seen_at < queue.now() - interval '1 minute' as "stale!"
           from identity.sessions s join identity.accounts a on a.id = s.user_id
           left join identity.memberships m
             on m.account_id = a.id and m.app = 'platform' and m.disabled_at is null
           where s.token_hash = $1 and s.seen_at > queue.now() - make_interval(secs => $2)
             and s.created_at > queue.now() - make_interval(secs => $3)
             and a.disabled_at is null and s.role is not distinct from m.role"#,
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
    let (id, account, email, full_name) = (row.id, row.user_id, row.email, row.full_name);
    Ok(Some(Session { id, account, email, full_name, role: row.role, csrf: row.csrf }))
}

/// Which of these sessions, by the hashes of their tokens, have not ended.
pub async fn still_signed_in(pool: &PgPool, sessions: &[Vec<u8>]) -> sqlx::Result<Vec<Vec<u8>>> {
    sqlx::query_scalar!(
        "select s.token_hash from identity.sessions s join identity.accounts a on a.id = s.user_id
         left join identity.memberships m
           on m.account_id = a.id and m.app = 'platform' and m.disabled_at is null
         where s.token_hash = any($1) and s.seen_at > queue.now() - make_interval(secs => $2)
           and s.created_at > queue.now() - make_interval(secs => $3)
           and a.disabled_at is null and s.role is not distinct from m.role",
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
                select from identity.known_browsers b join identity.accounts a on a.id = b.user_id
                where b.token_hash = $1 and lower(a.email) = lower($2) and b.created_at > queue.now() - make_interval(secs => $3)
             ) as "known!""#,
        token,
        email,
        KNOWN.as_secs_f64()
    )
    .fetch_one(pool)
    .await
}

/// Knows a browser from now on by `token`, and no more by the one `before`; of each account the last
/// 20.
pub async fn remember_browser(
    conn: &mut PgConnection,
    token: &Hash,
    before: Option<Hash>,
    account: Uuid,
) -> sqlx::Result<()> {
    sqlx::query!(
        "with forgotten as (
                delete from identity.known_browsers where user_id = $2 and (token_hash = $3 or token_hash in (
                    select token_hash from identity.known_browsers where user_id = $2 order by created_at desc offset 19
                ))
             )
             insert into identity.known_browsers (token_hash, user_id) values ($1, $2)",
        token,
        account,
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
