//! How long the jobs that are next in their lanes have waited.

use std::cmp::Reverse;
use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::database::column::column;
use crate::error::Result;
use crate::lanes::sublane::SubLaneId;
use crate::lanes::view::QueueView;

/// The most levels that are read, each for its first job, and the most requeued jobs.
const MAX_READ: usize = 1_000;

impl QueueView {
    /// Since when the longest-waiting of the first jobs could have started, of `tenant` or of all.
    /// The cursors move to where these jobs were found, so that the next call does not walk over
    /// what started meanwhile.
    pub(crate) async fn oldest(
        &mut self,
        conn: &mut PgConnection,
        tenant: Option<Uuid>,
    ) -> Result<Option<DateTime<Utc>>> {
        let mut firsts: Vec<(i64, SubLaneId, i16)> = self
            .sublanes
            .iter()
            .filter(|(id, _)| tenant.is_none_or(|tenant| id.tenant == tenant))
            .flat_map(|(id, sublane)| {
                let waiting = sublane.levels.iter().filter(|(_, level)| level.available > 0);
                waiting.map(|(Reverse(priority), level)| (level.cursor, *id, *priority))
            })
            .collect();
        if firsts.is_empty() {
            return Ok(None);
        }
        let requeued = self.oldest_requeued(conn, tenant).await?;
        firsts.sort_unstable();
        firsts.truncate(MAX_READ);
        let rows = sqlx::query_file!(
            "src/lanes/oldest.sql",
            self.queue,
            &column(&firsts, |(_, id, _)| id.tenant),
            &column(&firsts, |(_, id, _)| id.backfill) as &[Option<Uuid>],
            &column(&firsts, |(_, _, priority)| *priority),
            &column(&firsts, |(cursor, _, _)| *cursor),
        )
        .fetch_all(conn)
        .await?;
        for row in &rows {
            let (_, id, priority) = firsts[usize::try_from(row.number - 1).expect("counted from 1")];
            self.advance(id, priority, row.seq);
        }
        Ok(rows.into_iter().map(|row| row.scheduled_at).chain(requeued).min())
    }

    /// The same of the requeued jobs, which may be before the cursors. Those that are gone are
    /// removed from the view.
    pub(super) async fn oldest_requeued(
        &mut self,
        conn: &mut PgConnection,
        tenant: Option<Uuid>,
    ) -> Result<Option<DateTime<Utc>>> {
        let requeued: Vec<(SubLaneId, i16, i64)> = self
            .sublanes
            .iter()
            .filter(|(id, _)| tenant.is_none_or(|tenant| id.tenant == tenant))
            .flat_map(|(id, sublane)| {
                sublane.levels.iter().map(move |(priority, level)| (id, priority.0, level))
            })
            .flat_map(|(id, priority, level)| level.requeued.iter().map(move |seq| (*id, priority, *seq)))
            .take(MAX_READ)
            .collect();
        if requeued.is_empty() {
            return Ok(None);
        }
        let rows = sqlx::query!(
            r#"select seq as "seq!", scheduled_at from queue.jobs where seq = any($1) and state = 'available'"#,
            &column(&requeued, |(.., seq)| *seq)
        )
        .fetch_all(conn)
        .await?;
        let available: HashSet<i64> = rows.iter().map(|row| row.seq).collect();
        for (id, priority, seq) in requeued.iter().filter(|(.., seq)| !available.contains(seq)) {
            self.remove_requeued(*id, *priority, std::iter::once(seq));
        }
        Ok(rows.into_iter().map(|row| row.scheduled_at).min())
    }
}
