//! Who did what, when, to what, from where. What changes something is written down in the transaction that changes it.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};

/// What a page of the list walks past at most, in search of entries that match.
const MOST_WALKED: i64 = 10_000;

/// Somebody who does something.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    name: String,
    via: &'static str,
    address: Option<IpAddr>,
}

impl Actor {
    /// Somebody who is signed in to the dashboard.
    pub(crate) fn user(email: &str, address: Option<IpAddr>) -> Self {
        Self { name: email.to_owned(), via: "dashboard", address }
    }

    /// Whoever has the service's token.
    pub(crate) fn service(address: Option<IpAddr>) -> Self {
        Self { name: "service".to_owned(), via: "internal", address }
    }

    /// The account of this machine that runs a command.
    pub(crate) fn cli() -> Self {
        let uid = rustix::process::getuid().as_raw();
        let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let name = account_name(&accounts, uid).unwrap_or_else(|| format!("account {uid}"));
        Self { name, via: "cli", address: None }
    }

    /// Notes that this one did `action` to `target`.
    pub(crate) async fn note(
        &self,
        conn: &mut PgConnection,
        action: &str,
        target: &str,
        detail: &Value,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into audit (actor, via, address, action, target, detail) values ($1, $2, $3, $4, $5, $6)",
            self.name,
            self.via,
            self.address.map(|address| address.to_string()),
            action,
            target,
            detail
        )
        .execute(conn)
        .await?;
        Ok(())
    }
}

/// The name of an account in the text of `/etc/passwd`.
fn account_name(accounts: &str, uid: u32) -> Option<String> {
    let mut lines = accounts.lines().map(|line| line.split(':'));
    lines.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// Whether anybody did `action` to `target` before.
pub(crate) async fn has(conn: &mut PgConnection, action: &str, target: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from audit where target = $1 and action = $2) as "has!""#,
        target,
        action
    )
    .fetch_one(conn)
    .await
}

/// Notes a sign-in that failed. Those of one address and email within a minute are one entry that counts them.
pub(crate) async fn note_failed_sign_in(
    conn: impl PgExecutor<'_>,
    address: Option<IpAddr>,
    email: &str,
) -> sqlx::Result<()> {
    let address = address.map(|address| address.to_string());
    sqlx::query!(
        "insert into audit (actor, via, address, action, target, once)
         values ('anonymous', 'dashboard', $1, 'sign_in.failed', $2::text,
            concat_ws(' ', to_char(queue.now() at time zone 'UTC', 'YYYY-MM-DD HH24:MI'), coalesce($1, '-'), $2::text))
         on conflict (once) where once is not null do update set times = audit.times + 1",
        address,
        email
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets failed sign-ins that are older than 30 days. All else is kept.
pub(crate) async fn prune(conn: impl PgExecutor<'_>) -> sqlx::Result<u64> {
    let deleted =
        sqlx::query!("delete from audit where once is not null and at <= queue.now() - interval '30 days'")
            .execute(conn)
            .await?
            .rows_affected();
    Ok(deleted)
}

/// Which entries.
#[derive(Debug, Default, Clone)]
pub(crate) struct Filter {
    /// Of this one alone, in any case of letters.
    pub(crate) actor: Option<String>,
    /// This action, or all of a group: `job` takes `job.cancel` and `job.retry`.
    pub(crate) action: Option<String>,
}

/// Something that was done.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: i64,
    pub(crate) at: DateTime<Utc>,
    pub(crate) actor: String,
    pub(crate) via: String,
    pub(crate) address: Option<String>,
    pub(crate) action: String,
    pub(crate) target: String,
    pub(crate) detail: Value,
    pub(crate) times: i32,
    pub(crate) now: DateTime<Utc>,
}

/// A page of the list.
#[derive(Debug)]
pub(crate) struct Listed {
    /// Newest first.
    pub(crate) entries: Vec<Entry>,
    /// Where the next page begins, if there may be one.
    pub(crate) next: Option<i64>,
}

/// Something that was done to one thing.
#[derive(Debug)]
pub(crate) struct Act {
    pub(crate) at: DateTime<Utc>,
    pub(crate) actor: String,
    pub(crate) via: String,
    pub(crate) action: String,
    pub(crate) detail: Value,
}

/// The last hundred things that were done to `target`, in order.
pub(crate) async fn done_to(conn: &mut PgConnection, target: &str) -> sqlx::Result<Vec<Act>> {
    let mut acts = sqlx::query_as!(
        Act,
        "select at, actor, via, action, detail from audit where target = $1 order by id desc limit 100",
        target
    )
    .fetch_all(conn)
    .await?;
    acts.reverse();
    Ok(acts)
}

/// Entries before the one with id `before`, newest first. A page walks past a bounded number of entries: where few match it can be
/// short, or empty, and goes on at `next`.
pub(crate) async fn list(
    conn: &mut PgConnection,
    filter: &Filter,
    before: Option<i64>,
    limit: i64,
) -> sqlx::Result<Listed> {
    let before = before.unwrap_or(i64::MAX);
    let entries = sqlx::query_as!(
        Entry,
        r#"select id, at, actor, via, address, action, target, detail, times, queue.now() as "now!"
           from (select * from audit where id < $1 order by id desc limit $2) as walked
           where ($3::text is null or lower(actor) = lower($3))
             and ($4::text is null or action = $4 or starts_with(action, $4 || '.'))
           order by id desc limit $5"#,
        before,
        MOST_WALKED,
        filter.actor,
        filter.action,
        limit
    )
    .fetch_all(&mut *conn)
    .await?;
    let next = if i64::try_from(entries.len()) == Ok(limit) {
        entries.last().map(|entry| entry.id)
    } else {
        // Where the walk has ended, if it did so before the end of the list.
        sqlx::query_scalar!(
            "select id from audit where id < $1 order by id desc offset $2 limit 1",
            before,
            MOST_WALKED - 1
        )
        .fetch_optional(conn)
        .await?
    };
    Ok(Listed { entries, next })
}

#[cfg(test)]
mod tests {
    use super::account_name;

    #[test]
    fn an_account_is_found_by_its_number() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\n\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(account_name(accounts, 1000).as_deref(), Some("ada"));
        assert_eq!(account_name(accounts, 100), None);
    }
}
