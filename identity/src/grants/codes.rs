//! Authorization codes: good for a minute and once.

use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::revoke;
use crate::pkce;

/// How long a code is good.
pub const LIFE: Duration = Duration::from_mins(1);

/// A code about to be given out.
#[derive(Debug)]
pub struct New<'a> {
    /// The code itself.
    pub code: &'a str,
    pub client: &'a str,
    /// Where it is sent.
    pub redirect_uri: &'a str,
    /// Of PKCE.
    pub challenge: &'a str,
    /// As what somebody signs in.
    pub membership: Uuid,
    /// What is asked for; `None` is all that the role has.
    pub scopes: Option<&'a [String]>,
    /// The session of who signs in.
    pub session: Uuid,
}

/// Stores a code; false where the session has ended.
///
/// # Errors
/// When the database cannot answer.
pub async fn create(conn: &mut PgConnection, new: New<'_>) -> sqlx::Result<bool> {
    let stored = sqlx::query!(
        "insert into identity.auth_codes
            (code_hash, client_id, redirect_uri, code_challenge, membership_id, scopes, token_epoch)
         select $1, $2, $3, $4, m.id, $6, a.token_epoch
         from identity.memberships m join identity.accounts a on a.id = m.account_id 
         where m.id = $5 and exists (select from identity.sessions s where s.id = $7 and s.user_id = a.id)",
        hash(new.code),
        new.client,
        new.redirect_uri,
        new.challenge,
        new.membership,
        new.scopes,
        new.session
    )
    .execute(conn)
    .await?;
    Ok(stored.rows_affected() > 0)
}

/// How a code is presented.
#[derive(Debug)]
pub struct Presented<'a> {
    pub code: &'a str,
    pub client: &'a str,
    pub redirect_uri: &'a str,
    /// What the challenge was made of.
    pub verifier: &'a str,
}

/// What became of a code that was presented.
#[derive(Debug)]
pub enum Redeemed {
    /// A grant is to begin with it.
    Good(Good),
    /// It is no code, or not this client's, or too old, or the verifier is another's.
    Invalid,
    /// It was used before: the grant that it became is revoked, unless it was already.
    Reused { revoked: Option<Revoked> },
}

/// A grant that was revoked, and whose it was.
#[derive(Debug, Clone, Copy)]
pub struct Revoked {
    pub grant: Uuid,
    pub account: Uuid,
}

/// What a code was given out for.
#[derive(Debug)]
pub struct Good {
    hash: Vec<u8>,
    pub account: Uuid,
    pub membership: Uuid,
    pub scopes: Option<Vec<String>>,
    pub token_epoch: i32,
}

/// Looks a code up, in the transaction that begins its grant: of two that present it, the second
/// waits for the first.
///
/// # Errors
/// When the database cannot answer.
pub async fn redeem(conn: &mut PgConnection, presented: Presented<'_>) -> sqlx::Result<Redeemed> {
    let hash = hash(presented.code);
    let found = sqlx::query!(
        r#"select c.client_id, c.redirect_uri, c.code_challenge, c.membership_id, c.scopes, c.token_epoch,
            c.grant_id, c.used_at is not null as "used!",
            c.created_at > queue.now() - make_interval(secs => $2) as "fresh!", m.account_id
           from identity.auth_codes c join identity.memberships m on m.id = c.membership_id
           where c.code_hash = $1 for update of c"#,
        hash,
        LIFE.as_secs_f64()
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(found) = found.filter(|it| it.client_id == presented.client) else {
        return Ok(Redeemed::Invalid);
    };
    if found.used {
        // Somebody has it who should not: one of the two.
        let mut revoked = None;
        if let Some(grant) = found.grant_id
            && revoke(conn, grant, "code_reused").await?
        {
            revoked = Some(Revoked { grant, account: found.account_id });
        }
        return Ok(Redeemed::Reused { revoked });
    }
    let is_redirect = found.redirect_uri.as_bytes().ct_eq(presented.redirect_uri.as_bytes());
    if !found.fresh || !bool::from(is_redirect) || !pkce::matches(presented.verifier, &found.code_challenge) {
        return Ok(Redeemed::Invalid);
    }
    Ok(Redeemed::Good(Good {
        hash,
        account: found.account_id,
        membership: found.membership_id,
        scopes: found.scopes,
        token_epoch: found.token_epoch,
    }))
}

/// The code is used up, and became this grant.
///
/// # Errors
/// When the database cannot answer.
pub async fn became(conn: &mut PgConnection, good: &Good, grant: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "update identity.auth_codes set used_at = queue.now(), grant_id = $2 where code_hash = $1",
        good.hash,
        grant
    )
    .execute(conn)
    .await?;
    Ok(())
}

fn hash(code: &str) -> Vec<u8> {
    Sha256::digest(code.as_bytes()).to_vec()
}
