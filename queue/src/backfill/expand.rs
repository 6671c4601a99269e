//! Slices become jobs: the next ones of a backfill, in one transaction with the note of how far it is.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use serde_json::Value;
use sqlx::{Connection, PgConnection, PgPool, PgTransaction};
use uuid::Uuid;

use crate::backfill::room::Room;
use crate::backfill::to_i64;
use crate::enqueue::{NewJob, enqueue};
use crate::error::{QueueError, Result};

/// Tenants that catch up in one transaction, at most.
const TENANTS: usize = 20;

/// The jobs of one slice.
#[derive(Debug, Clone)]
pub struct Slice {
    /// Which one it is, from 0.
    pub number: u64,
    /// All of them, such as a workflow's, of one tenant.
    pub jobs: Vec<NewJob>,
    /// The one that stands for the slice: while a job that it would duplicate is live, the slice is on its way already.
    pub last: Uuid,
}

impl Slice {
    /// A slice of one job.
    pub fn one(number: u64, job: NewJob) -> Self {
        Self { number, last: job.id, jobs: vec![job] }
    }

    /// Whose it is.
    pub(crate) fn tenant(&self) -> Option<Uuid> {
        self.jobs.first().map(|job| job.tenant)
    }
}

/// Whose slices are looked at.
#[derive(Debug, Clone, Copy)]
pub enum Whose<'a> {
    /// Those of all tenants but these.
    AllBut(&'a [Uuid]),
    /// Those of one tenant.
    Only(Uuid),
}

/// Which slices are wanted.
#[derive(Debug, Clone)]
pub struct Look<'a> {
    /// From the first of these on.
    pub range: Range<u64>,
    /// Others are passed over.
    pub whose: Whose<'a>,
    /// At most so many that there is something to do for.
    pub most: usize,
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

    /// Looks at slices from the start of the range on, until `most` of them have something to do or it has looked at as
    /// many as it likes, but at least one. What it reads, it reads through `conn`.
    fn expand<'a>(
        &'a self,
        conn: &'a mut PgConnection,
        kind: &'a str,
        plan: &'a Value,
        look: Look<'a>,
    ) -> BoxFuture<'a, Result<Expansion>>;

    /// How many slices these tenants have, each from its number up to `end` (not included), whether there is something to
    /// do for them or not.
    ///
    /// # Errors
    /// When the plan is not one of its own.
    fn count(&self, plan: &Value, from: &[(Uuid, u64)], end: u64) -> Result<u64>;
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
    /// Slices before `next_slice` that were not looked at.
    pub(crate) put_off: u64,
    /// The tenants whose they are, each with the first of its own.
    pub(crate) behind: HashMap<Uuid, u64>,
}

impl Window {
    /// Slices that a number of live jobs are.
    pub(crate) fn slices(&self, jobs: u64) -> u64 {
        (jobs * (self.looked_at() - self.skipped)).div_ceil(self.jobs.max(1))
    }

    /// Slices that became jobs or were skipped.
    pub(crate) fn looked_at(&self) -> u64 {
        self.next_slice - self.put_off
    }

    /// Whether there are slices left to look at.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.looked_at() < self.total
    }
}

/// Every backfill that is not over, oldest first.
pub(crate) async fn look(conn: &mut PgConnection) -> Result<Vec<Window>> {
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
            let of_one = behind.entry(row.backfill_id).or_default();
            of_one.insert(row.tenant_id, row.next_slice.unsigned_abs());
        }
    }
    Ok(rows
        .into_iter()
        .map(|row| Window {
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

/// What of a backfill its slices are made with.
struct Locked {
    plan: Value,
    priority: i16,
    traceparent: Option<String>,
}

/// A transaction that expands this backfill alone; `None` when another host is at it, or it is not as `window` has it any
/// more.
async fn begin(pool: &PgPool, window: &mut Window) -> Result<Option<(PgTransaction<'static>, Locked)>> {
    let mut tx = pool.begin().await?;
    // A process that is stopped in here must not keep the backfill from the others.
    sqlx::query!("select set_config('idle_in_transaction_session_timeout', '10s', true)")
        .fetch_one(&mut *tx)
        .await?;
    let row = sqlx::query_as!(
        Locked,
        "select plan, priority, traceparent from queue.backfills
         where id = $1 and next_slice = $2 and put_off = $3
           and not paused and cancelled_at is null and finished_at is null
         for update skip locked",
        window.id,
        to_i64(window.next_slice),
        to_i64(window.put_off)
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    // Who is behind may have changed since the look without a trace in the row: a tenant caught up that had nothing left.
    let tenants = sqlx::query!(
        "select tenant_id, next_slice from queue.backfills_behind where backfill_id = $1",
        window.id
    );
    let tenants = tenants.fetch_all(&mut *tx).await?;
    window.behind = tenants.into_iter().map(|row| (row.tenant_id, row.next_slice.unsigned_abs())).collect();
    Ok(Some((tx, row)))
}

impl Locked {
    fn in_backfill(&self, id: Uuid, slices: Vec<Slice>) -> Vec<Slice> {
        let in_backfill = |mut job: NewJob| {
            job.inherit(self.traceparent.as_ref(), None);
            job.priority(self.priority).backfill(id)
        };
        slices
            .into_iter()
            .map(|slice| Slice { jobs: slice.jobs.into_iter().map(in_backfill).collect(), ..slice })
            .collect()
    }
}

/// Looks at slices, and at what the application says of them.
async fn look_at(
    conn: &mut PgConnection,
    slices: &dyn Slices,
    window: &Window,
    plan: &Value,
    look: Look<'_>,
) -> Result<Expansion> {
    let (range, most) = (look.range.clone(), look.most);
    let found = slices.expand(conn, &window.kind, plan, look).await?;
    let within = range.start..found.next;
    let is_wrong = found.next <= range.start
        || found.next > range.end
        || found.slices.len() > most
        || found.slices.iter().any(|slice| !within.contains(&slice.number) || slice.jobs.is_empty());
    if is_wrong { Err(QueueError::BadExpansion(window.id)) } else { Ok(found) }
}

/// Makes the jobs of the next slices of the tenants that are not behind, at most of `most`, and moves `window` on. Who has
/// no room for its next one is left behind. `false` when another host is at it, or the backfill is not as `window` has it.
pub(crate) async fn expand(
    pool: &PgPool,
    slices: &dyn Slices,
    window: &mut Window,
    room: &mut Room,
    most: usize,
) -> Result<bool> {
    let Some((mut tx, row)) = begin(pool, window).await? else { return Ok(false) };
    let start = window.next_slice;
    let left_out: Vec<Uuid> = window.behind.keys().copied().collect();
    let look = Look { range: start..window.total, whose: Whose::AllBut(&left_out), most };
    let Expansion { next, slices: found } = look_at(&mut tx, slices, window, &row.plan, look).await?;
    let (found, behind) = room.take(found);
    let passed: Vec<(Uuid, u64)> = left_out
        .into_iter()
        .map(|id| (id, start))
        .chain(behind.iter().map(|(id, from)| (*id, *from)))
        .collect();
    let put_off = if passed.is_empty() { 0 } else { slices.count(&row.plan, &passed, next)? };
    let (made, jobs) = enqueue_slices(&mut tx, row.in_backfill(window.id, found)).await?;
    let skipped = (next - start).checked_sub(put_off + made).ok_or(QueueError::BadExpansion(window.id))?;
    let (tenants, from): (Vec<Uuid>, Vec<i64>) = behind.iter().map(|(id, from)| (*id, to_i64(*from))).unzip();
    sqlx::query!(
        "insert into queue.backfills_behind (backfill_id, tenant_id, next_slice)
         select $1, tenant_id, next_slice from unnest($2::uuid[], $3::bigint[]) as t (tenant_id, next_slice)",
        window.id,
        &tenants,
        &from
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "update queue.backfills
         set next_slice = $2, reached = $2, skipped = skipped + $3, jobs = jobs + $4, put_off = put_off + $5
         where id = $1",
        window.id,
        to_i64(next),
        to_i64(skipped),
        to_i64(jobs),
        to_i64(put_off)
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    window.next_slice = next;
    window.skipped += skipped;
    window.jobs += jobs;
    window.put_off += put_off;
    window.behind.extend(behind);
    Ok(true)
}

/// Makes jobs of the slices that were put off, of tenants that have room again, at most of `most` slices; a tenant whose
/// last one that is goes on with the others. Returns how many slices were looked at.
pub(crate) async fn catch_up(
    pool: &PgPool,
    slices: &dyn Slices,
    window: &mut Window,
    room: &mut Room,
    most: u64,
) -> Result<u64> {
    let wanting = room.wanting(window, TENANTS);
    if wanting.is_empty() {
        return Ok(0);
    }
    let Some((mut tx, row)) = begin(pool, window).await? else { return Ok(0) };
    let (mut looked_at, mut left, mut all, mut moved) = (0, most, Vec::new(), Vec::new());
    for id in wanting {
        let Some(from) = window.behind.get(&id).copied() else { continue };
        let wants = usize::try_from(room.of(id).min(left)).unwrap_or(1);
        if wants == 0 {
            break;
        }
        let look = Look { range: from..window.next_slice, whose: Whose::Only(id), most: wants };
        let Expansion { next, slices: found } = look_at(&mut tx, slices, window, &row.plan, look).await?;
        if found.iter().any(|slice| slice.tenant() != Some(id)) {
            return Err(QueueError::BadExpansion(window.id));
        }
        looked_at += slices.count(&row.plan, &[(id, from)], next)?;
        left -= found.len() as u64;
        all.extend(room.take(found).0);
        moved.push((id, next));
    }
    let (made, jobs) = enqueue_slices(&mut tx, row.in_backfill(window.id, all)).await?;
    let skipped = looked_at.checked_sub(made).ok_or(QueueError::BadExpansion(window.id))?;
    move_on(&mut tx, window, &moved).await?;
    sqlx::query!(
        "update queue.backfills
         set put_off = put_off - $2, reached = next_slice, skipped = skipped + $3, jobs = jobs + $4 where id = $1",
        window.id,
        to_i64(looked_at),
        to_i64(skipped),
        to_i64(jobs)
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    window.put_off -= looked_at;
    window.skipped += skipped;
    window.jobs += jobs;
    for (id, next) in moved {
        if next < window.next_slice {
            window.behind.insert(id, next);
        } else {
            window.behind.remove(&id);
        }
    }
    Ok(looked_at)
}

/// Notes how far tenants that were left behind are; those that caught up are so no more.
async fn move_on(conn: &mut PgConnection, window: &Window, moved: &[(Uuid, u64)]) -> Result<()> {
    let (caught_up, on): (Vec<_>, Vec<_>) = moved.iter().partition(|(_, next)| *next >= window.next_slice);
    let caught_up: Vec<Uuid> = caught_up.into_iter().map(|(id, _): (Uuid, u64)| id).collect();
    sqlx::query!(
        "delete from queue.backfills_behind where backfill_id = $1 and tenant_id = any($2)",
        window.id,
        &caught_up
    )
    .execute(&mut *conn)
    .await?;
    let (tenants, next): (Vec<Uuid>, Vec<i64>) =
        on.into_iter().map(|(id, next): (Uuid, u64)| (id, to_i64(next))).unzip();
    sqlx::query!(
        "update queue.backfills_behind d set next_slice = t.next_slice
         from unnest($2::uuid[], $3::bigint[]) as t (tenant_id, next_slice)
         where d.backfill_id = $1 and d.tenant_id = t.tenant_id",
        window.id,
        &tenants,
        &next
    )
    .execute(conn)
    .await?;
    Ok(())
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
