//! The backfills that have not ended, as the expander loads them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;

/// A backfill that has not ended.
#[derive(Debug, Clone)]
pub(crate) struct OpenBackfill {
    pub(crate) id: Uuid,
    pub(crate) kind: String,
    pub(crate) queues: Vec<String>,
    pub(crate) paused: bool,
    pub(crate) cancelled: bool,
    pub(crate) retrying: bool,
    pub(crate) total: u64,
    pub(crate) next_slice: u64,
    pub(crate) skipped: u64,
    pub(crate) jobs: u64,
    pub(crate) sampled_at: Option<DateTime<Utc>>,
    /// Slices before `next_slice` that were not examined, since their tenants are behind.
    pub(crate) put_off: u64,
    /// The tenants that are behind, each with the first of its slices that was not examined.
    pub(crate) behind: HashMap<Uuid, u64>,
}

impl OpenBackfill {
    /// About how many slices a number of its jobs belongs to.
    pub(crate) fn slices_of_jobs(&self, jobs: u64) -> u64 {
        (jobs * (self.examined() - self.skipped)).div_ceil(self.jobs.max(1))
    }

    /// Slices that became jobs or were skipped.
    pub(crate) fn examined(&self) -> u64 {
        self.next_slice - self.put_off
    }

    /// Whether there are slices left to examine.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.examined() < self.total
    }
}

/// Every backfill that has not ended, oldest first.
pub(crate) async fn load_open(conn: &mut PgConnection) -> Result<Vec<OpenBackfill>> {
    let rows = sqlx::query!(
        r#"select id, kind as "kind!", queues, paused, cancelled_at is not null as "cancelled!",
            retry_requested_at is not null as "retrying!", total, next_slice, skipped, jobs, put_off,
            (samples -> -1 ->> 'at')::timestamptz as sampled_at
           from queue.backfills where finished_at is null and kind is not null order by id"#
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut behind: HashMap<Uuid, HashMap<Uuid, u64>> = HashMap::new();
    if rows.iter().any(|row| row.put_off > 0 && !row.paused) {
        let tenants = sqlx::query!(
            "select d.backfill_id, d.tenant_id, d.next_slice from queue.backfills_behind d
             join queue.backfills b on b.id = d.backfill_id and b.finished_at is null and not b.paused"
        );
        for row in tenants.fetch_all(conn).await? {
            let tenants_behind = behind.entry(row.backfill_id).or_default();
            tenants_behind.insert(row.tenant_id, row.next_slice.unsigned_abs());
        }
    }
    Ok(rows
        .into_iter()
        .map(|row| OpenBackfill {
            behind: behind.remove(&row.id).unwrap_or_default(),
            put_off: row.put_off.unsigned_abs(),
            id: row.id,
            kind: row.kind,
            queues: row.queues,
            paused: row.paused,
            cancelled: row.cancelled,
            retrying: row.retrying,
            total: row.total.unsigned_abs(),
            next_slice: row.next_slice.unsigned_abs(),
            skipped: row.skipped.unsigned_abs(),
            jobs: row.jobs.unsigned_abs(),
            sampled_at: row.sampled_at,
        })
        .collect())
}
