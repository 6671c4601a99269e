//! The slices of a range that there is something to do for.

use std::ops::Range;

use az::SaturatingAs;
use chrono::NaiveDate;
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_identity::{Tenant, TenantSlug};
use weirgate_web::backfill::{BackfillOrder, BackfillRange, TenantCount};

use super::kind::BackfillKind;

/// Slices that there is something to do for, by tenant, in their order; those that are on their
/// way already count, and days that have not begun do not.
pub(super) async fn count(
    conn: &mut PgConnection,
    range: &BackfillRange,
    kind: BackfillKind,
) -> sqlx::Result<Vec<TenantCount>> {
    let rows = sqlx::query_file!(
        "./backfill/count.sql",
        &range.tenants,
        range.from,
        range.to,
        kind.as_str(),
        kind.job_kind(),
        range.reprocess.as_str()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, TenantSlug(row.slug), row.slices.max(0).unsigned_abs())).collect())
}

/// The first of the `slices` that there is something to do for, every `stride`th of them, those
/// of some tenants left out.
pub(super) async fn due(
    conn: &mut PgConnection,
    range: &BackfillRange,
    kind: BackfillKind,
    (slices, stride): (&Range<u64>, u64),
    left_out: &[Uuid],
    most: usize,
) -> sqlx::Result<Vec<(u64, Tenant, NaiveDate)>> {
    let (first_day, step) = match range.order {
        BackfillOrder::NewestFirst => (range.to, -1),
        BackfillOrder::OldestFirst => (range.from, 1),
    };
    let rows = sqlx::query_file!(
        "./backfill/slices.sql",
        &range.tenants,
        first_day,
        step,
        slices.start.saturating_as::<i64>(),
        slices.end.saturating_as::<i64>(),
        kind.as_str(),
        kind.job_kind(),
        range.reprocess.as_str(),
        most.saturating_as::<i64>(),
        stride.saturating_as::<i64>(),
        left_out
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let tenant = Tenant {
                id: row.id,
                slug: TenantSlug(row.slug),
                name: row.name,
                is_active: row.is_active,
                time_zone: row.time_zone,
            };
            (row.n.unsigned_abs(), tenant, row.date)
        })
        .collect())
}
