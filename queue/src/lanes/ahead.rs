//! How many jobs of its lane start before a job.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::lanes::book::{Book, FlowId, Level};
use crate::read::JobRow;

/// More are not counted.
const MOST: usize = 100;

fn lane(job: &JobRow) -> (FlowId, i16) {
    (FlowId { tenant: job.tenant_id, backfill: job.backfill_id }, job.priority)
}

impl Book {
    /// For each of `jobs`, those of its flow and priority that may start and start before it. Reads each lane once, from
    /// its cursor on, and remembers what it found: history is not walked over.
    pub(crate) async fn ahead(&mut self, conn: &mut PgConnection, jobs: &[&JobRow]) -> Result<Vec<i64>> {
        let mut below: BTreeMap<(FlowId, i16), i64> = BTreeMap::new();
        for job in jobs {
            let newest = below.entry(lane(job)).or_default();
            *newest = job.seq.max(*newest);
        }
        let lanes: Vec<((FlowId, i16), i64)> = below.into_iter().collect();
        let cursor = |of: &(FlowId, i16)| self.level(*of).map_or(i64::MAX, |level| level.from);
        let rows = sqlx::query_file!(
            "src/lanes/ahead.sql",
            self.queue,
            &lanes.iter().map(|((id, _), _)| id.tenant).collect::<Vec<_>>(),
            &lanes.iter().map(|((id, _), _)| id.backfill).collect::<Vec<_>>() as &[Option<Uuid>],
            &lanes.iter().map(|((_, priority), _)| *priority).collect::<Vec<_>>(),
            &lanes.iter().map(|(of, _)| cursor(of)).collect::<Vec<_>>(),
            i64::try_from(MOST).expect("small"),
        )
        .fetch_all(&mut *conn)
        .await?;
        self.oldest_stray(conn, None).await?;
        let mut first: BTreeMap<(FlowId, i16), Vec<i64>> = BTreeMap::new();
        for row in rows {
            let (of, below) = lanes[usize::try_from(row.place - 1).expect("counted from 1")];
            self.advance(of.0, of.1, row.seqs.first().copied().unwrap_or(below));
            let mut seqs = row.seqs;
            seqs.extend(self.level(of).into_iter().flat_map(|level| &level.strays));
            seqs.sort_unstable();
            first.insert(of, seqs);
        }
        let count = |job: &&JobRow| {
            let before = first.get(&lane(job)).map_or(0, |seqs| seqs.partition_point(|seq| *seq < job.seq));
            i64::try_from(before.min(MOST)).expect("small")
        };
        Ok(jobs.iter().map(count).collect())
    }

    fn level(&self, (id, priority): (FlowId, i16)) -> Option<&Level> {
        self.flows.get(&id)?.levels.get(&Reverse(priority))
    }
}
