//! `failures`: what jobs failed of.

use weirgate_queue::failures::{self, COUNTED};

use super::session::Session;
use super::{instant, table};
use crate::output::say;

pub(super) async fn run(limit: i64, session: &Session) -> anyhow::Result<()> {
    let list = async |database: &crate::database::Database| {
        let mut conn = database.pool.acquire().await?;
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
        if rows.is_empty() {
            return say!("no job failed, or all that did have been retried, cancelled or deleted");
        }
        let mut table = table(&["FAILURE", "KIND", "CODE", "RETRYABLE", "DISCARDED", "LAST SEEN", "MESSAGE"]);
        for it in rows {
            let more = if it.retryable + it.discarded > COUNTED { "+" } else { "" };
            let count = |count: i64| format!("{count}{more}");
            table.add_row([
                it.id.to_string(),
                it.kind,
                it.code,
                count(it.retryable),
                count(it.discarded),
                instant(it.last_seen),
                it.pattern,
            ]);
        }
        say!("{table}")
    };
    session.with_database("failures", list).await
}
