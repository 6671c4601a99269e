//! Turns the next slices of a backfill into jobs, in one transaction with the record of how far the
//! backfill is.

use std::collections::HashSet;

use az::SaturatingAs;
use serde_json::Value;
use sqlx::{Connection, PgConnection, PgPool, PgTransaction};
use uuid::Uuid;

use super::open::OpenBackfill;
use super::slices::{Expansion, Slice, SliceQuery, Slices, TenantScope};
use super::window::SliceWindow;
use crate::enqueue::{NewJob, enqueue};
use crate::error::{QueueError, Result};

/// Most tenants that catch up in one transaction.
const MAX_TENANTS: usize = 20;

/// A backfill whose row is locked: what its jobs are made from.
struct LockedBackfill {
    plan: Value,
    priority: i16,
    traceparent: Option<String>,
}

/// Begins a transaction that alone expands this backfill; `None` when another worker is expanding
/// it, or it has changed since it was loaded.
async fn begin(
    pool: &PgPool,
    backfill: &mut OpenBackfill,
) -> Result<Option<(PgTransaction<'static>, LockedBackfill)>> {
    let mut tx = pool.begin().await?;
    // A process that is suspended in this transaction must not keep the backfill from the others.
    sqlx::query!("select set_config('idle_in_transaction_session_timeout', '10s', true)")
        .fetch_one(&mut *tx)
        .await?;
    let row = sqlx::query_as!(
        LockedBackfill,
        "select plan, priority, traceparent from queue.backfills
         where id = $1 and next_slice = $2 and put_off = $3
           and not paused and cancelled_at is null and finished_at is null
         for update skip locked",
        backfill.id,
        backfill.next_slice.saturating_as::<i64>(),
        backfill.put_off.saturating_as::<i64>()
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    // The tenants that are behind may have changed since the backfill was loaded without a change
    // of its row: a tenant may have caught up that had nothing left to do.
    let tenants = sqlx::query!(
        "select tenant_id, next_slice from queue.backfills_behind where backfill_id = $1",
        backfill.id
    );
    let tenants = tenants.fetch_all(&mut *tx).await?;
    backfill.behind = tenants.into_iter().map(|row| (row.tenant_id, row.next_slice.unsigned_abs())).collect();
    Ok(Some((tx, row)))
}

impl LockedBackfill {
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

/// Asks the application for the next slices, and checks its answer.
async fn next_slices(
    conn: &mut PgConnection,
    slices: &dyn Slices,
    backfill: &OpenBackfill,
    plan: &Value,
    query: SliceQuery<'_>,
) -> Result<Expansion> {
    let (range, limit) = (query.range.clone(), query.limit);
    let found = slices.expand(conn, &backfill.kind, plan, query).await?;
    let within = range.start..found.next;
    let is_wrong = found.next <= range.start
        || found.next > range.end
        || found.slices.len() > limit
        || found.slices.iter().any(|slice| !within.contains(&slice.number) || slice.jobs.is_empty());
    if is_wrong { Err(QueueError::BadExpansion(backfill.id)) } else { Ok(found) }
}

/// Makes the jobs of up to `limit` next slices of the tenants that are not behind, and advances
/// `backfill`. A tenant whose window is full falls behind. Returns `false` when another worker is
/// expanding the backfill, or it has changed since it was loaded.
pub(crate) async fn expand(
    pool: &PgPool,
    slices: &dyn Slices,
    backfill: &mut OpenBackfill,
    window: &mut SliceWindow,
    limit: usize,
) -> Result<bool> {
    let Some((mut tx, locked)) = begin(pool, backfill).await? else { return Ok(false) };
    let start = backfill.next_slice;
    let left_out: Vec<Uuid> = backfill.behind.keys().copied().collect();
    let query =
        SliceQuery { range: start..backfill.total, tenants: TenantScope::AllExcept(&left_out), limit };
    let Expansion { next, slices: found } =
        next_slices(&mut tx, slices, backfill, &locked.plan, query).await?;
    let (found, behind) = window.admit(found);
    let passed_over: Vec<(Uuid, u64)> = left_out
        .into_iter()
        .map(|id| (id, start))
        .chain(behind.iter().map(|(id, from)| (*id, *from)))
        .collect();
    let put_off = if passed_over.is_empty() { 0 } else { slices.count(&locked.plan, &passed_over, next)? };
    let (made, jobs) = enqueue_slices(&mut tx, locked.in_backfill(backfill.id, found)).await?;
    let skipped = (next - start).checked_sub(put_off + made).ok_or(QueueError::BadExpansion(backfill.id))?;
    let (tenants, from): (Vec<Uuid>, Vec<i64>) =
        behind.iter().map(|(id, from)| (*id, from.to_owned().saturating_as::<i64>())).unzip();
    sqlx::query!(
        "insert into queue.backfills_behind (backfill_id, tenant_id, next_slice)
         select $1, tenant_id, next_slice from unnest($2::uuid[], $3::bigint[]) as t (tenant_id, next_slice)",
        backfill.id,
        &tenants,
        &from
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "update queue.backfills
         set next_slice = $2, reached = $2, skipped = skipped + $3, jobs = jobs + $4, put_off = put_off + $5
         where id = $1",
        backfill.id,
        next.saturating_as::<i64>(),
        skipped.saturating_as::<i64>(),
        jobs.saturating_as::<i64>(),
        put_off.saturating_as::<i64>()
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    backfill.next_slice = next;
    backfill.skipped += skipped;
    backfill.jobs += jobs;
    backfill.put_off += put_off;
    backfill.behind.extend(behind);
    Ok(true)
}

/// Makes the jobs of up to `limit` slices of tenants that are behind and whose windows have room
/// again. A tenant that has no earlier slices left goes on with the others. Returns how many slices
/// were examined.
pub(crate) async fn catch_up(
    pool: &PgPool,
    slices: &dyn Slices,
    backfill: &mut OpenBackfill,
    window: &mut SliceWindow,
    limit: u64,
) -> Result<u64> {
    let tenants = window.tenants_to_catch_up(backfill, MAX_TENANTS);
    if tenants.is_empty() {
        return Ok(0);
    }
    let Some((mut tx, locked)) = begin(pool, backfill).await? else { return Ok(0) };
    let (mut examined, mut left, mut admitted, mut advanced) = (0, limit, Vec::new(), Vec::new());
    for id in tenants {
        let Some(from) = backfill.behind.get(&id).copied() else { continue };
        let limit = window.free_for(id).min(left).saturating_as::<usize>();
        if limit == 0 {
            break;
        }
        let query = SliceQuery { range: from..backfill.next_slice, tenants: TenantScope::Only(id), limit };
        let Expansion { next, slices: found } =
            next_slices(&mut tx, slices, backfill, &locked.plan, query).await?;
        if found.iter().any(|slice| slice.tenant() != Some(id)) {
            return Err(QueueError::BadExpansion(backfill.id));
        }
        examined += slices.count(&locked.plan, &[(id, from)], next)?;
        left -= found.len() as u64;
        admitted.extend(window.admit(found).0);
        advanced.push((id, next));
    }
    let (made, jobs) = enqueue_slices(&mut tx, locked.in_backfill(backfill.id, admitted)).await?;
    let skipped = examined.checked_sub(made).ok_or(QueueError::BadExpansion(backfill.id))?;
    save_tenant_cursors(&mut tx, backfill, &advanced).await?;
    sqlx::query!(
        "update queue.backfills
         set put_off = put_off - $2, reached = next_slice, skipped = skipped + $3, jobs = jobs + $4 where id = $1",
        backfill.id,
        examined.saturating_as::<i64>(),
        skipped.saturating_as::<i64>(),
        jobs.saturating_as::<i64>()
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    backfill.put_off -= examined;
    backfill.skipped += skipped;
    backfill.jobs += jobs;
    for (id, next) in advanced {
        if next < backfill.next_slice {
            backfill.behind.insert(id, next);
        } else {
            backfill.behind.remove(&id);
        }
    }
    Ok(examined)
}

/// Records how far tenants that are behind are now; those that caught up are behind no more.
async fn save_tenant_cursors(
    conn: &mut PgConnection,
    backfill: &OpenBackfill,
    advanced: &[(Uuid, u64)],
) -> Result<()> {
    let (caught_up, behind): (Vec<_>, Vec<_>) =
        advanced.iter().partition(|(_, next)| *next >= backfill.next_slice);
    let caught_up: Vec<Uuid> = caught_up.into_iter().map(|(id, _): (Uuid, u64)| id).collect();
    sqlx::query!(
        "delete from queue.backfills_behind where backfill_id = $1 and tenant_id = any($2)",
        backfill.id,
        &caught_up
    )
    .execute(&mut *conn)
    .await?;
    let (tenants, next): (Vec<Uuid>, Vec<i64>) =
        behind.into_iter().map(|(id, next): (Uuid, u64)| (id, next.saturating_as::<i64>())).unzip();
    sqlx::query!(
        "update queue.backfills_behind d set next_slice = t.next_slice
         from unnest($2::uuid[], $3::bigint[]) as t (tenant_id, next_slice)
         where d.backfill_id = $1 and d.tenant_id = t.tenant_id",
        backfill.id,
        &tenants,
        &next
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Stores the slices that are not in flight already; returns how many these are, and how many jobs
/// they have.
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
        let is_in_flight = |slice: &Slice| duplicates.contains(&slice.last);
        // A slice of one job that is in flight was not stored. Of a workflow that is in flight the
        // other jobs were stored, and must not be.
        if slices.iter().any(|slice| slice.jobs.len() > 1 && is_in_flight(slice)) {
            tx.rollback().await?;
            slices.retain(|slice| !is_in_flight(slice));
            continue;
        }
        tx.commit().await?;
        let new = slices.iter().zip(sizes).filter(|(slice, _)| !is_in_flight(slice));
        return Ok(new.fold((0, 0), |(made, jobs), (_, size)| (made + 1, jobs + size)));
    }
    Ok((0, 0))
}
