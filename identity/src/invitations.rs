//! Links by which somebody chooses a password, the first or another one.

use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::accounts::{AccountsError, store_password};
use crate::passwords;

/// How long a link is good.
pub const LIFE: Duration = Duration::from_hours(72);

/// Who is invited by a link that is good.
#[derive(Debug, Clone)]
pub struct Invited {
    pub account: Uuid,
    pub email: String,
    pub full_name: String,
}

/// Makes a link for an account: `random` is what it holds, in text. Links from before end.
///
/// # Errors
/// When the database cannot answer.
pub async fn create(conn: &mut PgConnection, account: Uuid, random: &str, by: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "with ended as (
            delete from identity.invitations where account_id = $2 and used_at is null
         )
         insert into identity.invitations (token_hash, account_id, created_by, expires_at)
         values ($1, $2, $3, queue.now() + make_interval(secs => $4))",
        hash(random),
        account,
        by,
        LIFE.as_secs_f64()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Who is invited by a link; `None` where it is unknown, used or too old, or the account disabled.
///
/// # Errors
/// When the database cannot answer.
pub async fn find(conn: &mut PgConnection, token: &str) -> sqlx::Result<Option<Invited>> {
    sqlx::query_as!(
        Invited,
        "select a.id as account, a.email, a.full_name
         from identity.invitations i join identity.accounts a on a.id = i.account_id
         where i.token_hash = $1 and i.used_at is null and i.expires_at > queue.now() and a.disabled_at is null",
        hash(token)
    )
    .fetch_optional(conn)
    .await
}

/// Sets the password of who is invited by a link, which is used up; sign-ins of before end. `None`
/// where the link is not good.
///
/// # Errors
/// When the password cannot be taken: then the link stays good.
pub async fn accept(
    conn: &mut PgConnection,
    token: &str,
    password: &str,
) -> Result<Option<Invited>, AccountsError> {
    // Before anything is locked: hashing takes a while.
    let password = passwords::hash(password).await?;
    let invited = sqlx::query_as!(
        Invited,
        "update identity.invitations i set used_at = queue.now() from identity.accounts a
         where i.token_hash = $1 and i.used_at is null and i.expires_at > queue.now()
           and a.id = i.account_id and a.disabled_at is null
         returning a.id as account, a.email, a.full_name",
        hash(token)
    )
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(invited) = &invited {
        store_password(conn, invited.account, &password, None, None).await?;
    }
    Ok(invited)
}

/// Withdraws the links of an account that were not used; `false` where there was none.
///
/// # Errors
/// When the database cannot answer.
pub async fn withdraw(conn: &mut PgConnection, account: Uuid) -> sqlx::Result<bool> {
    let ended = sqlx::query!(
        "delete from identity.invitations where account_id = $1 and used_at is null and expires_at > queue.now()",
        account
    )
    .execute(conn)
    .await?;
    Ok(ended.rows_affected() > 0)
}

/// Forgets links that have ended a month ago.
///
/// # Errors
/// When the database cannot answer.
pub async fn prune(conn: &mut PgConnection) -> sqlx::Result<u64> {
    let deleted =
        sqlx::query!("delete from identity.invitations where expires_at <= queue.now() - interval '30 days'")
            .execute(conn)
            .await?;
    Ok(deleted.rows_affected())
}

fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}
