//! Refresh tokens: each is used once, and has one successor.
//!
//! The successor is derived from the token, a nonce that is stored when the token is used, and a key
//! of the server. So the same token, used again within seconds, gets the same successor: two tabs
//! asked at once, or an answer was lost. A token that is used later, or after its successor, is in
//! two hands: the whole grant is revoked. Neither the database alone nor a token alone tells what
//! comes next.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::{IDLE, LONGEST, Subject, live_one, revoke};

/// What every token begins with, so that searches for secrets find it.
const PREFIX: &str = "wgr_";

/// Within so long, the same token gets the same successor.
const SAME: Duration = Duration::from_secs(10);

/// The first token of a grant, of 256 random bits.
pub fn first(random: [u8; 32]) -> String {
    format!("{PREFIX}{}", hex::encode(random))
}

/// Stores the first token of a grant.
///
/// # Errors
/// When the database cannot answer.
pub async fn begin(conn: &mut PgConnection, grant: Uuid, token: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into identity.refresh_tokens (token_hash, grant_id) values ($1, $2)",
        hash(token),
        grant
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What became of a token that was presented.
#[derive(Debug)]
pub enum Rotated {
    /// New tokens may be given out.
    Good { subject: Box<Subject>, successor: String },
    /// It is no token, or not this client's, or its grant has ended.
    Invalid,
    /// It was used before: its grant is revoked. It concerns that account.
    Reused { grant: Uuid, account: Uuid },
}

/// Takes a token in, in a transaction that is committed whatever comes out. `keys` are the server's,
/// the present one first; `nonce` is random.
///
/// # Errors
/// When the database cannot answer.
pub async fn rotate(
    conn: &mut PgConnection,
    token: &str,
    client: Option<&str>,
    keys: &[[u8; 32]],
    nonce: [u8; 32],
) -> sqlx::Result<Rotated> {
    let hash = hash(token);
    // Those who present tokens of one grant wait for each other.
    let held = sqlx::query!(
        "select g.id, g.account_id, g.client_id from identity.grants g
         where g.id = (select grant_id from identity.refresh_tokens where token_hash = $1) for update",
        hash
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(held) = held.filter(|it| it.client_id.as_deref() == client) else {
        return Ok(Rotated::Invalid);
    };
    let found = sqlx::query!(
        r#"select t.nonce, t.used_at > queue.now() - make_interval(secs => $2) as recent,
            child.token_hash as "child?", child.used_at is not null as "child_used?"
           from identity.refresh_tokens t
           left join identity.refresh_tokens child on child.parent = t.token_hash
           where t.token_hash = $1"#,
        hash,
        SAME.as_secs_f64()
    )
    .fetch_one(&mut *conn)
    .await?;
    let Some(subject) = live_one(conn, held.id).await? else { return Ok(Rotated::Invalid) };
    let subject = Box::new(subject);
    let Some(used_with) = found.nonce else {
        let Some(key) = keys.first() else { return Ok(Rotated::Invalid) };
        let successor = successor(key, &nonce, token);
        take_in(conn, held.id, &hash, &nonce, &successor).await?;
        return Ok(Rotated::Good { subject, successor });
    };
    if found.recent == Some(true)
        && found.child_used == Some(false)
        && let Some(child) = found.child
    {
        let of_key = keys.iter().map(|key| successor(key, &used_with, token));
        let same = of_key.into_iter().find(|it| bool::from(self::hash(it).ct_eq(&child)));
        if let Some(successor) = same {
            return Ok(Rotated::Good { subject, successor });
        }
    }
    revoke(conn, held.id, "refresh_token_reused").await?;
    Ok(Rotated::Reused { grant: held.id, account: held.account_id })
}

async fn take_in(
    conn: &mut PgConnection,
    grant: Uuid,
    token: &[u8],
    nonce: &[u8],
    successor: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "with used as (
            update identity.refresh_tokens set used_at = queue.now(), nonce = $3 where token_hash = $2
         ), seen as (
            update identity.grants set used_at = queue.now() where id = $1
         )
         insert into identity.refresh_tokens (token_hash, grant_id, parent) values ($4, $1, $2)",
        grant,
        token,
        nonce,
        hash(successor)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The grant that a token is of, used or not, if it may still be revoked by that client.
///
/// # Errors
/// When the database cannot answer.
pub async fn grant_of(
    conn: &mut PgConnection,
    token: &str,
    client: Option<&str>,
) -> sqlx::Result<Option<(Uuid, Uuid)>> {
    let found = sqlx::query!(
        "select g.id, g.account_id from identity.refresh_tokens t join identity.grants g on g.id = t.grant_id
         where t.token_hash = $1 and g.client_id is not distinct from $2 and g.revoked_at is null
           and g.used_at > queue.now() - make_interval(secs => $3)
           and g.created_at > queue.now() - make_interval(secs => $4)",
        hash(token),
        client,
        IDLE.as_secs_f64(),
        LONGEST.as_secs_f64()
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.map(|it| (it.id, it.account_id)))
}

fn successor(key: &[u8; 32], nonce: &[u8], token: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(nonce);
    mac.update(token.as_bytes());
    format!("{PREFIX}{}", hex::encode(mac.finalize().into_bytes()))
}

fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_depends_on_the_key_the_nonce_and_the_token() {
        let token = first([1; 32]);
        let of = |key, nonce: [u8; 32], token: &str| successor(&[key; 32], &nonce, token);
        let one = of(1, [2; 32], &token);
        assert_eq!(one, of(1, [2; 32], &token));
        assert_eq!(one.len(), token.len());
        for other in [of(2, [2; 32], &token), of(1, [3; 32], &token), of(1, [2; 32], &first([2; 32]))] {
            assert_ne!(one, other);
        }
    }
}
