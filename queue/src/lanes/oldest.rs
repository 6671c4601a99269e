//! How long the jobs have waited that are next in their lanes.

use std::cmp::Reverse;
use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::lanes::book::{Book, FlowId};

/// Lanes and priorities that are looked into, each for its first job.
const MOST: usize = 1_000;

impl Book {
    /// Since when the longest-waiting of the first jobs could have started, of `tenant` or of all. Remembers where it found
    /// them, so that the next look does not walk over what started meanwhile.
    pub(crate) async fn oldest(
        &mut self,
        conn: &mut PgConnection,
        tenant: Option<Uuid>,
    ) -> Result<Option<DateTime<Utc>>> {
        let mut firsts: Vec<(i64, FlowId, i16)> = self
            .flows
            .iter()
            .filter(|(id, _)| tenant.is_none_or(|tenant| id.tenant == tenant))
            .flat_map(|(id, flow)| {
                let waits = flow.levels.iter().filter(|(_, level)| level.available > 0);
                waits.map(|(Reverse(priority), level)| (level.from, *id, *priority))
            })
            .collect();
        if firsts.is_empty() {
            return Ok(None);
        }
        let stray = self.oldest_stray(conn, tenant).await?;
        firsts.sort_unstable();
        firsts.truncate(MOST);
        let rows = sqlx::query_file!(
            "src/lanes/oldest.sql",
            self.queue,
            &firsts.iter().map(|(_, id, _)| id.tenant).collect::<Vec<_>>(),
            &firsts.iter().map(|(_, id, _)| id.backfill).collect::<Vec<_>>() as &[Option<Uuid>],
            &firsts.iter().map(|(_, _, priority)| *priority).collect::<Vec<_>>(),
            &firsts.iter().map(|(from, _, _)| *from).collect::<Vec<_>>(),
        )
        .fetch_all(conn)
        .await?;
        for row in &rows {
            let (_, id, priority) = firsts[usize::try_from(row.place - 1).expect("counted from 1")];
            self.advance(id, priority, row.seq);
        }
        Ok(rows.into_iter().map(|row| row.scheduled_at).chain(stray).min())
    }

    /// The same of those that came back behind the cursors; forgets which are gone.
    pub(super) async fn oldest_stray(
        &mut self,
        conn: &mut PgConnection,
        tenant: Option<Uuid>,
    ) -> Result<Option<DateTime<Utc>>> {
        let strays: Vec<(FlowId, i16, i64)> = self
            .flows
            .iter()
            .filter(|(id, _)| tenant.is_none_or(|tenant| id.tenant == tenant))
            .flat_map(|(id, flow)| flow.levels.iter().map(move |(priority, level)| (id, priority.0, level)))
            .flat_map(|(id, priority, level)| level.strays.iter().map(move |seq| (*id, priority, *seq)))
            .take(MOST)
            .collect();
        if strays.is_empty() {
            return Ok(None);
        }
        let rows = sqlx::query!(
            r#"select seq as "seq!", scheduled_at from queue.jobs where seq = any($1) and state = 'available'"#,
            &strays.iter().map(|(.., seq)| *seq).collect::<Vec<_>>()
        )
        .fetch_all(conn)
        .await?;
        let there: HashSet<i64> = rows.iter().map(|row| row.seq).collect();
        for (id, priority, seq) in strays.iter().filter(|(.., seq)| !there.contains(seq)) {
            self.forget_strays(*id, *priority, std::iter::once(seq));
        }
        Ok(rows.into_iter().map(|row| row.scheduled_at).min())
    }
}
