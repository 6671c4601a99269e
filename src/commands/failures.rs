//! `failures`: why jobs failed, those that failed alike together.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgPool;
use weirgate_queue::telemetry::failures::{self, MAX_COUNTED_JOBS};

use super::door::Door;
use super::remote;
use super::session::Session;
use super::table::{instant, table};
use crate::output::say;

pub(super) async fn run(limit: i64, session: &Session) -> anyhow::Result<()> {
    let list = async |door: Door<'_>| {
        print_list(match door {
            Door::Database(database) => stored(&database.pool, limit).await?,
            Door::Server(client) => remote::failures::list(client, usize::try_from(limit)?).await?,
        })
    };
    session.with_door("failures", list).await
}

/// A failure as commands show it.
#[derive(Deserialize)]
pub(super) struct Failure {
    id: i64,
    kind: String,
    code: String,
    /// What the messages have in common.
    message: String,
    retryable: i64,
    discarded: i64,
    /// Whether that are all of its jobs.
    exact: bool,
    last_seen_at: DateTime<Utc>,
}

/// Failures of the database.
async fn stored(pool: &PgPool, limit: i64) -> anyhow::Result<Vec<Failure>> {
    let mut conn = pool.acquire().await?;
    let mut rows = Vec::new();
    let mut before = None;
    loop {
        let page = failures::list(&mut conn, before, limit - i64::try_from(rows.len())?).await?;
        rows.extend(page.rows);
        before = page.next;
        if before.is_none() || i64::try_from(rows.len())? >= limit {
            break;
        }
    }
    let shown = rows.into_iter().map(|it| Failure {
        id: it.id,
        kind: it.kind,
        code: it.code,
        message: it.pattern,
        retryable: it.retryable,
        discarded: it.discarded,
        exact: it.retryable + it.discarded <= MAX_COUNTED_JOBS,
        last_seen_at: it.last_seen,
    });
    Ok(shown.collect())
}

fn print_list(failures: Vec<Failure>) -> anyhow::Result<()> {
    if failures.is_empty() {
        return say!("no failed jobs");
    }
    let mut table = table(&["FAILURE", "KIND", "CODE", "RETRYABLE", "DISCARDED", "LAST SEEN", "MESSAGE"]);
    for it in failures {
        let more = if it.exact { "" } else { "+" };
        let count = |count: i64| format!("{count}{more}");
        table.add_row([
            it.id.to_string(),
            it.kind,
            it.code,
            count(it.retryable),
            count(it.discarded),
            instant(it.last_seen_at),
            it.message,
        ]);
    }
    say!("{table}")
}
