//! Who did what, when, to what, from where, and how that was before. What changes something is
//! written down in the transaction that changes it.

mod actor;
mod acts;
mod change;
mod list;
mod via;

use std::net::IpAddr;

use sqlx::{PgConnection, PgExecutor};

pub use actor::{Actor, ServiceToken};
pub use acts::WORKFLOW_RETRY;
pub use change::{Change, Subject};
pub use list::{Act, Entry, Filter, Listed, actors, done_to, list};
pub use via::Via;

/// Whether anybody did `action` to `target` before.
pub async fn has(conn: &mut PgConnection, action: &str, target: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from identity.audit where target = $1 and action = $2) as "has!""#,
        target,
        action
    )
    .fetch_one(conn)
    .await
}

/// Notes a sign-in that failed. Those of one address and email within a minute are one entry that
/// counts them.
pub async fn note_failed_sign_in(
    conn: impl PgExecutor<'_>,
    via: Via,
    address: Option<IpAddr>,
    email: &str,
) -> sqlx::Result<()> {
    let address = address.map(|address| address.to_string());
    sqlx::query!(
        "insert into identity.audit (actor, via, address, action, target, once)
         values ('anonymous', $3, $1, 'sign_in.failed', $2::text,
            concat_ws(' ', to_char(queue.now() at time zone 'UTC', 'YYYY-MM-DD HH24:MI'), coalesce($1, '-'), $2::text))
         on conflict (once) where once is not null do update set times = audit.times + 1",
        address,
        email,
        via.as_str()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets failed sign-ins that are older than 30 days. All else is kept: a trigger refuses to
/// change or delete it.
pub async fn prune(conn: impl PgExecutor<'_>) -> sqlx::Result<u64> {
    let deleted = sqlx::query!(
        "delete from identity.audit where once is not null and at <= queue.now() - interval '30 days'"
    )
    .execute(conn)
    .await?
    .rows_affected();
    Ok(deleted)
}
