//! The entries: those of a filter, page by page, and those of one thing.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::via::Via;

/// What a page of the list walks past at most, in search of entries that match.
const MOST_WALKED: i64 = 10_000;

/// Which entries: those that fulfil all of it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Of this one alone, in any case of letters.
    pub actor: Option<String>,
    /// This action, or all of a group: `job` takes `job.cancel` and `job.retry`.
    pub action: Option<String>,
    /// To this: a job's id, a queue's name, an email.
    pub target: Option<String>,
    /// By this way.
    pub via: Option<Via>,
    /// Concerning this tenant.
    pub tenant: Option<Uuid>,
    /// From this time on.
    pub from: Option<DateTime<Utc>>,
    /// Before this time.
    pub to: Option<DateTime<Utc>>,
}

/// Something that was done.
#[derive(Debug)]
pub struct Entry {
    pub id: i64,
    pub at: DateTime<Utc>,
    pub actor: String,
    pub via: Via,
    pub address: Option<String>,
    pub action: String,
    pub target: String,
    pub tenant_id: Option<Uuid>,
    pub tenant: Option<String>,
    pub detail: Value,
    pub times: i32,
    pub now: DateTime<Utc>,
}

/// A page of the list.
#[derive(Debug)]
pub struct Listed {
    /// Newest first.
    pub entries: Vec<Entry>,
    /// Where the next page begins, if there may be one.
    pub next: Option<i64>,
}

/// Entries before the one with id `before`, newest first. A page walks past a bounded number of
/// entries: where few match it can be short, or empty, and goes on at `next`.
pub async fn list(
    conn: &mut PgConnection,
    filter: &Filter,
    before: Option<i64>,
    limit: i64,
) -> sqlx::Result<Listed> {
    let Filter { actor, action, target, via, tenant, from, to } = filter;
    let before = before.unwrap_or(i64::MAX);
    let entries = if target.is_none() && actor.is_none() && tenant.is_none() {
        sqlx::query_file_as!(
            Entry,
            "src/audit/page.sql",
            before,
            MOST_WALKED,
            action.as_deref(),
            *from,
            *to,
            via.map(Via::as_str),
            limit
        )
        .fetch_all(&mut *conn)
        .await?
    } else {
        sqlx::query_file_as!(
            Entry,
            "src/audit/page_of.sql",
            before,
            MOST_WALKED,
            target.as_deref(),
            actor.as_deref(),
            *tenant,
            action.as_deref(),
            *from,
            *to,
            via.map(Via::as_str),
            limit
        )
        .fetch_all(&mut *conn)
        .await?
    };
    let next = if i64::try_from(entries.len()) == Ok(limit) {
        entries.last().map(|entry| entry.id)
    } else {
        sqlx::query_file_scalar!(
            "src/audit/walk_end.sql",
            before,
            MOST_WALKED - 1,
            target.as_deref(),
            actor.as_deref(),
            *tenant,
            *from,
            *to
        )
        .fetch_optional(conn)
        .await?
    };
    Ok(Listed { entries, next })
}

/// Who did something of late, by name.
pub async fn actors(conn: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        "select distinct actor from (select actor from identity.audit order by id desc limit 1000) as newest order by actor limit 100"
    )
    .fetch_all(conn)
    .await
}

/// Something that was done to one thing.
#[derive(Debug)]
pub struct Act {
    pub at: DateTime<Utc>,
    pub actor: String,
    pub via: Via,
    pub action: String,
    pub detail: Value,
}

/// The last hundred things that were done to any of `targets`, in order.
pub async fn done_to(conn: &mut PgConnection, targets: &[String]) -> sqlx::Result<Vec<Act>> {
    let mut acts = sqlx::query_as!(
        Act,
        r#"select at, actor, via as "via: Via", action, detail from identity.audit where target = any($1) order by id desc limit 100"#,
        targets
    )
    .fetch_all(conn)
    .await?;
    acts.reverse();
    Ok(acts)
}
