//! Where a job that may start stands in its lane: what blocks the lane, and how many jobs start
//! before this one.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::database::column::column;
use crate::error::Result;
use crate::lanes::blocked::Blocked;
use crate::lanes::sublane::SubLaneId;
use crate::lanes::view::QueueView;

/// Jobs ahead of a job are counted up to this number.
const MAX_AHEAD: usize = 100;

/// A job that may start, as far as its position depends on it.
#[derive(Debug, Clone, Copy)]
pub struct AvailableJob<'a> {
    /// The job.
    pub id: Uuid,
    /// The queue that it waits in.
    pub queue: &'a str,
    /// The tenant that it belongs to.
    pub tenant: Uuid,
    /// The backfill that it belongs to.
    pub backfill: Option<Uuid>,
    /// Its priority.
    pub priority: i16,
    /// Its number, in order of enqueueing.
    pub seq: i64,
    /// Whether a live worker claims from its queue.
    pub has_worker: bool,
}

impl AvailableJob<'_> {
    fn level(&self) -> (SubLaneId, i16) {
        (SubLaneId { tenant: self.tenant, backfill: self.backfill }, self.priority)
    }
}

/// The position of a job that may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuePosition {
    /// What keeps the next job of its lane from starting; none when only other jobs are before it.
    pub blocked: Option<Blocked>,
    /// The jobs of its lane that run.
    pub running: i64,
    /// The jobs of its lane (or of its backfill's part of it) that may start, and start before it.
    /// Those of its own priority are counted to 100.
    pub ahead: i64,
    /// The database's time at which this was so.
    pub now: DateTime<Utc>,
}

impl QueueView {
    /// The positions of `jobs`, which are all in this queue.
    pub(crate) async fn positions(
        &mut self,
        conn: &mut PgConnection,
        jobs: &[AvailableJob<'_>],
    ) -> Result<Vec<(Uuid, QueuePosition)>> {
        // The jobs ahead are counted only where nothing else keeps a job from starting.
        let (next, held_back): (Vec<AvailableJob<'_>>, Vec<AvailableJob<'_>>) =
            jobs.iter().partition(|job| job.has_worker && self.explain(job.tenant, job.backfill).is_none());
        let ahead = if next.is_empty() { Vec::new() } else { self.ahead(conn, &next).await? };
        let next = next.iter().zip(ahead).map(|(job, ahead)| (job.id, self.position(job, ahead)));
        Ok(next.chain(held_back.iter().map(|job| (job.id, self.position(job, 0)))).collect())
    }

    /// The position of a job before which `ahead` jobs of its own priority start.
    fn position(&self, job: &AvailableJob<'_>, ahead: i64) -> QueuePosition {
        let (id, priority) = job.level();
        let levels = self.sublanes.get(&id).into_iter().flat_map(|sublane| &sublane.levels);
        let above = levels.filter(|(of, _)| of.0 > priority).map(|(_, level)| level.available.max(0));
        QueuePosition {
            blocked: self.explain(job.tenant, job.backfill),
            running: self.lanes.get(&job.tenant).map_or(0, |lane| lane.running),
            ahead: ahead + above.sum::<i64>(),
            now: self.now,
        }
    }

    /// For each of `jobs`, how many jobs of its sub-lane and priority may start, and start before
    /// it. Each level is read once, from its cursor on. The cursor moves to the first job that was
    /// found, so that the next call does not walk over finished jobs again.
    async fn ahead(&mut self, conn: &mut PgConnection, jobs: &[AvailableJob<'_>]) -> Result<Vec<i64>> {
        let mut newest_of: BTreeMap<(SubLaneId, i16), i64> = BTreeMap::new();
        for job in jobs {
            let newest = newest_of.entry(job.level()).or_default();
            *newest = job.seq.max(*newest);
        }
        let levels: Vec<((SubLaneId, i16), i64)> = newest_of.into_iter().collect();
        let cursor = |(id, priority)| self.level(id, priority).map_or(i64::MAX, |level| level.cursor);
        let rows = sqlx::query_file!(
            "src/lanes/ahead.sql",
            self.queue,
            &column(&levels, |((id, _), _)| id.tenant),
            &column(&levels, |((id, _), _)| id.backfill) as &[Option<Uuid>],
            &column(&levels, |((_, priority), _)| *priority),
            &column(&levels, |(level, _)| cursor(*level)),
            i64::try_from(MAX_AHEAD).expect("small"),
        )
        .fetch_all(&mut *conn)
        .await?;
        self.oldest_requeued(conn, None).await?;
        let mut first: BTreeMap<(SubLaneId, i16), Vec<i64>> = BTreeMap::new();
        for row in rows {
            let ((id, priority), newest) = levels[usize::try_from(row.number - 1).expect("counted from 1")];
            let mut seqs = row.seqs;
            self.advance(id, priority, seqs.first().copied().unwrap_or(newest));
            seqs.extend(self.level(id, priority).into_iter().flat_map(|level| &level.requeued));
            seqs.sort_unstable();
            first.insert((id, priority), seqs);
        }
        let count = |job: &AvailableJob<'_>| {
            let before = first.get(&job.level()).map_or(0, |seqs| seqs.partition_point(|seq| *seq < job.seq));
            i64::try_from(before.min(MAX_AHEAD)).expect("small")
        };
        Ok(jobs.iter().map(count).collect())
    }
}
