//! Grants: sign-ins that tokens are given out under. A grant ends when it is revoked, has not been
//! used for 8 hours, or is 30 days old; and with its account, membership, tenant and app.

pub mod codes;
mod list;
pub mod refresh;

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

pub use list::{Listed, of_account};

/// A grant that is not used for so long has ended.
pub const IDLE: Duration = Duration::from_hours(8);

/// However it is used, a grant has ended then.
pub const LONGEST: Duration = Duration::from_hours(30 * 24);

/// A grant about to begin.
#[derive(Debug)]
pub struct New<'a> {
    pub id: Uuid,
    pub account: Uuid,
    pub membership: Uuid,
    /// The app that signs in; `None` for the login of the API.
    pub client: Option<&'a str>,
    /// What is asked for; `None` is all that the role has.
    pub scopes: Option<&'a [String]>,
    /// Of the account, when its password was checked.
    pub token_epoch: i32,
    /// Where the sign-in comes from.
    pub address: Option<String>,
    /// What the client calls itself; what is too long is cut off.
    pub user_agent: Option<&'a str>,
}

/// What the tokens of a grant that counts are about.
#[derive(Debug, Clone)]
pub struct Subject {
    pub grant: Uuid,
    pub account: Uuid,
    pub email: String,
    pub full_name: String,
    pub app: String,
    pub role: String,
    pub tenant: Option<Uuid>,
    /// Slug of the tenant.
    pub tenant_slug: Option<String>,
    /// The app that the tokens are for; `None` for the login of the API.
    pub client: Option<String>,
    /// What was asked for; `None` is all that the role has.
    pub scopes: Option<Vec<String>>,
}

/// Grants of one account at once; the one that was used longest ago ends for a new one.
const MOST: i64 = 50;

/// Begins a grant.
///
/// # Errors
/// When the database cannot answer.
pub async fn begin(conn: &mut PgConnection, new: New<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "update identity.grants set revoked_at = queue.now(), revoked_for = 'too_many'
         where id in (
            select id from identity.grants where account_id = $1 and revoked_at is null
            order by used_at desc, id desc offset $2
         )",
        new.account,
        MOST - 1
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "insert into identity.grants
            (id, account_id, membership_id, client_id, scopes, token_epoch, address, user_agent)
         values ($1, $2, $3, $4, $5, $6, $7, left($8, 300))",
        new.id,
        new.account,
        new.membership,
        new.client,
        new.scopes,
        new.token_epoch,
        new.address,
        new.user_agent
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What the tokens of these grants are about; those that have ended are left out.
///
/// # Errors
/// When the database cannot answer.
pub async fn live(pool: &PgPool, grants: &[Uuid]) -> sqlx::Result<Vec<Subject>> {
    live_on(&mut *pool.acquire().await?, grants).await
}

/// The same for one, on this connection.
///
/// # Errors
/// When the database cannot answer.
pub async fn live_one(conn: &mut PgConnection, grant: Uuid) -> sqlx::Result<Option<Subject>> {
    Ok(live_on(conn, &[grant]).await?.pop())
}

async fn live_on(conn: &mut PgConnection, grants: &[Uuid]) -> sqlx::Result<Vec<Subject>> {
    sqlx::query_as!(
        Subject,
        r#"select g.id as "grant", a.id as account, a.email, a.full_name, m.app, m.role, m.tenant_id as tenant,
            t.slug as "tenant_slug?", g.client_id as client, g.scopes
           from identity.grants g
           join identity.accounts a on a.id = g.account_id
           join identity.memberships m on m.id = g.membership_id
           left join identity.tenants t on t.id = m.tenant_id
           left join identity.clients c on c.client_id = g.client_id
           where g.id = any($1) and g.revoked_at is null and g.token_epoch = a.token_epoch
             and g.used_at > queue.now() - make_interval(secs => $2)
             and g.created_at > queue.now() - make_interval(secs => $3)
             and a.disabled_at is null and m.disabled_at is null and c.disabled_at is null
             and (m.tenant_id is null or t.is_active)"#,
        grants,
        IDLE.as_secs_f64(),
        LONGEST.as_secs_f64()
    )
    .fetch_all(conn)
    .await
}

/// Refuses all tokens of a grant from now on; false where they were refused before.
///
/// # Errors
/// When the database cannot answer.
pub async fn revoke(conn: &mut PgConnection, grant: Uuid, why: &str) -> sqlx::Result<bool> {
    let revoked = sqlx::query!(
        "update identity.grants set revoked_at = queue.now(), revoked_for = $2
         where id = $1 and revoked_at is null",
        grant,
        why
    )
    .execute(conn)
    .await?;
    Ok(revoked.rows_affected() > 0)
}

/// The same for one of an account.
///
/// # Errors
/// When the database cannot answer.
pub async fn revoke_of(conn: &mut PgConnection, account: Uuid, grant: Uuid, why: &str) -> sqlx::Result<bool> {
    let is_theirs = sqlx::query_scalar!(
        r#"select exists (select from identity.grants where id = $1 and account_id = $2) as "is!""#,
        grant,
        account
    );
    Ok(is_theirs.fetch_one(&mut *conn).await? && revoke(conn, grant, why).await?)
}

/// Forgets grants that ended by their age, and codes of days ago.
///
/// # Errors
/// When the database cannot answer.
pub async fn prune(pool: &PgPool) -> sqlx::Result<u64> {
    let deleted = sqlx::query!(
        "with codes as (
            delete from identity.auth_codes where created_at <= queue.now() - interval '1 day'
         )
         delete from identity.grants where created_at <= queue.now() - make_interval(secs => $1)",
        LONGEST.as_secs_f64()
    )
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected())
}
