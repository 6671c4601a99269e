//! Slices become jobs: the next ones of a backfill, in one transaction with the note of how far it is.

use std::collections::HashSet;
use std::ops::Range;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use serde_json::Value;
use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

use crate::backfill::to_i64;
use crate::enqueue::{NewJob, enqueue};
use crate::error::{QueueError, Result};

/// The jobs of one slice.
#[derive(Debug, Clone)]
pub struct Slice {
    /// All of them, such as a workflow's.
    pub jobs: Vec<NewJob>,
    /// The one that stands for the slice: while a job that it would duplicate is live, the slice is on its way already.
    pub last: Uuid,
}

impl From<NewJob> for Slice {
    fn from(job: NewJob) -> Self {
        Self { last: job.id, jobs: vec![job] }
    }
}

/// The next slices that there is something to do for.
#[derive(Debug, Clone)]
pub struct Expansion {
    /// The first slice that was not looked at.
    pub next: u64,
    /// In order; slices before `next` that are not here have nothing to do.
    pub slices: Vec<Slice>,
}

/// What the slices of backfills are: the application's part.
pub trait Slices: Send + Sync {
    /// Whether it knows backfills of this kind.
    fn knows(&self, kind: &str) -> bool;

    /// Looks at slices from the start of `range` on, until `most` of them have something to do or it has looked at as
    /// many as it likes, but at least one. What it reads, it reads through `conn`.
    fn expand<'a>(
        &'a self,
        conn: &'a mut PgConnection,
        kind: &'a str,
        plan: &'a Value,
        range: Range<u64>,
        most: usize,
    ) -> BoxFuture<'a, Result<Expansion>>;
}

/// A backfill that is not over, as the expander sees it.
#[derive(Debug, Clone)]
pub(crate) struct Window {
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
}

impl Window {
    /// Slices that a number of live jobs are.
    pub(crate) fn slices(&self, jobs: u64) -> u64 {
        (jobs * (self.next_slice - self.skipped)).div_ceil(self.jobs.max(1))
    }
}

/// Every backfill that is not over, oldest first.
pub(crate) async fn look(conn: &mut PgConnection) -> Result<Vec<Window>> {
    let rows = sqlx::query!(
        r#"select id, kind as "kind!", queues, paused, cancelled_at is not null as "cancelled!",
            retry_requested_at is not null as "retrying!", total, next_slice, skipped, jobs,
            (samples -> -1 ->> 'at')::timestamptz as sampled_at
           from queue.backfills where finished_at is null and kind is not null order by id"#
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Window {
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

/// Makes the jobs of the next slices, at most of `most`, and moves `window` on; `false` when another host is at it, or
/// the backfill is not as `window` has it any more.
pub(crate) async fn expand(
    pool: &PgPool,
    slices: &dyn Slices,
    window: &mut Window,
    most: usize,
) -> Result<bool> {
    let mut tx = pool.begin().await?;
    // A process that is stopped in here must not keep the backfill from the others.
    sqlx::query!("select set_config('idle_in_transaction_session_timeout', '10s', true)")
        .fetch_one(&mut *tx)
        .await?;
    let row = sqlx::query!(
        "select plan, priority, traceparent from queue.backfills
         where id = $1 and next_slice = $2 and not paused and cancelled_at is null and finished_at is null
         for update skip locked",
        window.id,
        to_i64(window.next_slice)
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(false) };
    let range = window.next_slice..window.total;
    let Expansion { next, slices } =
        slices.expand(&mut tx, &window.kind, &row.plan, range.clone(), most).await?;
    if next <= range.start || next > range.end || slices.len() > most {
        return Err(QueueError::BadExpansion(window.id));
    }
    let in_backfill = |mut job: NewJob| {
        job.inherit(row.traceparent.as_ref(), None);
        job.priority(row.priority).backfill(window.id)
    };
    let slices: Vec<Slice> = slices
        .into_iter()
        .map(|slice| Slice { jobs: slice.jobs.into_iter().map(in_backfill).collect(), ..slice })
        .collect();
    let (made, jobs) = enqueue_slices(&mut tx, slices).await?;
    let skipped = next - window.next_slice - made;
    sqlx::query!(
        "update queue.backfills set next_slice = $2, skipped = skipped + $3, jobs = jobs + $4 where id = $1",
        window.id,
        to_i64(next),
        to_i64(skipped),
        to_i64(jobs)
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    window.next_slice = next;
    window.skipped += skipped;
    window.jobs += jobs;
    Ok(true)
}

/// Stores the slices that are not on their way already; answers how many, and of how many jobs.
async fn enqueue_slices(conn: &mut PgConnection, mut slices: Vec<Slice>) -> Result<(u64, u64)> {
    while !slices.is_empty() {
        let mut tx = conn.begin().await?;
        let jobs: Vec<NewJob> = slices.iter().flat_map(|slice| slice.jobs.clone()).collect();
        let sizes: Vec<u64> = slices.iter().map(|slice| slice.jobs.len() as u64).collect();
        let ids: Vec<Uuid> = jobs.iter().map(|job| job.id).collect();
        let enqueued = enqueue(&mut tx, jobs).await?;
        let duplicates: HashSet<Uuid> = ids
            .into_iter()
            .zip(enqueued)
            .filter(|(_, enqueued)| enqueued.duplicate)
            .map(|(id, _)| id)
            .collect();
        let on_its_way = |slice: &Slice| duplicates.contains(&slice.last);
        // A single job that is on its way was not stored; the rest of a workflow was, and must not be.
        if slices.iter().any(|slice| slice.jobs.len() > 1 && on_its_way(slice)) {
            tx.rollback().await?;
            slices.retain(|slice| !on_its_way(slice));
            continue;
        }
        tx.commit().await?;
        let new = slices.iter().zip(sizes).filter(|(slice, _)| !on_its_way(slice));
        return Ok(new.fold((0, 0), |(made, jobs), (_, size)| (made + 1, jobs + size)));
    }
    Ok((0, 0))
}
