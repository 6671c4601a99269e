//! What accounts are changed to. What ends a sign-in ends all of them: sessions, and the grants that
//! tokens are given out under.

use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{AccountsError, locale, name};
use crate::passwords;

/// Gives an account another password and ends its sign-ins; no browser is known as theirs any more,
/// and an account that was disabled may sign in again.
///
/// # Errors
/// [`AccountsError`].
pub async fn set_password(
    conn: impl PgExecutor<'_>,
    email: &str,
    password: &str,
) -> Result<(), AccountsError> {
    let hash = passwords::hash(password).await?;
    change(conn, email, What::Password(&hash)).await
}

/// The same for the account with that id, which stays disabled if it is, with the hash of the
/// password, as [`passwords::hash`] makes it. The session with the id `but` does not end. Where
/// `epoch` is that of the account when the present password was checked, nothing is stored if it was
/// changed since: false.
///
/// # Errors
/// When the database cannot answer.
pub async fn store_password(
    conn: &mut PgConnection,
    account: Uuid,
    hash: &str,
    but: Option<Uuid>,
    epoch: Option<i32>,
) -> sqlx::Result<bool> {
    let stored = sqlx::query!(
        "update identity.accounts set password_hash = $2
         where id = $1 and ($3::integer is null or token_epoch = $3)",
        account,
        hash,
        epoch
    );
    if stored.execute(&mut *conn).await?.rows_affected() == 0 {
        return Ok(false);
    }
    end_sign_ins(conn, account, but).await?;
    sqlx::query!(
        "with links as (
            delete from identity.invitations where account_id = $1 and used_at is null
         )
         delete from identity.known_browsers where user_id = $1",
        account
    )
    .execute(conn)
    .await?;
    Ok(true)
}

/// Refuses an account from now on, and ends its sign-ins.
///
/// # Errors
/// [`AccountsError::Unknown`], [`AccountsError::Database`].
pub async fn disable(conn: impl PgExecutor<'_>, email: &str) -> Result<(), AccountsError> {
    change(conn, email, What::Disable).await
}

/// Lets a disabled account sign in again, with the password that it had.
///
/// # Errors
/// [`AccountsError::Unknown`], [`AccountsError::Database`].
pub async fn enable(conn: impl PgExecutor<'_>, email: &str) -> Result<(), AccountsError> {
    change(conn, email, What::Enable).await
}

/// Ends all sign-ins of an account.
///
/// # Errors
/// [`AccountsError::Unknown`], [`AccountsError::Database`].
pub async fn sign_out_everywhere(conn: impl PgExecutor<'_>, email: &str) -> Result<(), AccountsError> {
    change(conn, email, What::SignOut).await
}

/// Ends the sessions of an account but the one with the id `but`, and all of its grants.
pub async fn end_sign_ins(conn: &mut PgConnection, account: Uuid, but: Option<Uuid>) -> sqlx::Result<()> {
    sqlx::query!(
        "with ended as (
            delete from identity.sessions where user_id = $1 and id is distinct from $2
         )
         update identity.accounts set token_epoch = token_epoch + 1 where id = $1",
        account,
        but
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Calls somebody otherwise, and writes to them in another language.
///
/// # Errors
/// When either is none.
pub async fn set_name(
    conn: &mut PgConnection,
    account: Uuid,
    full_name: &str,
    language: &str,
) -> Result<(), AccountsError> {
    sqlx::query!(
        "update identity.accounts set full_name = $2, locale = $3 where id = $1",
        account,
        name(full_name)?,
        locale(language)?
    )
    .execute(conn)
    .await?;
    Ok(())
}

enum What<'a> {
    Password(&'a str),
    Disable,
    Enable,
    SignOut,
}

async fn change(conn: impl PgExecutor<'_>, email: &str, what: What<'_>) -> Result<(), AccountsError> {
    let hash = match what {
        What::Password(hash) => Some(hash),
        _ => None,
    };
    let (disables, enables) =
        (matches!(what, What::Disable), matches!(what, What::Password(_) | What::Enable));
    let changed = sqlx::query!(
        "with changed as (
            update identity.accounts
            set password_hash = coalesce($2, password_hash), token_epoch = token_epoch + 1,
                disabled_at = case when $3 then coalesce(disabled_at, queue.now()) when not $4 then disabled_at end
            where lower(email) = lower($1) returning id
         ), ended as (
            delete from identity.sessions using changed where user_id = changed.id
         ), links as (
            delete from identity.invitations using changed
            where account_id = changed.id and used_at is null and not $5
         ), forgotten as (
            delete from identity.known_browsers using changed
            where user_id = changed.id and ($3 or $2::text is not null)
         )
         select id from changed",
        email.trim(),
        hash,
        disables,
        enables,
        matches!(what, What::Enable)
    )
    .fetch_optional(conn)
    .await?;
    changed.map(drop).ok_or_else(|| AccountsError::Unknown(email.to_owned()))
}
