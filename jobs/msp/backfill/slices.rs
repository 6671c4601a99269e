//! What the slices of a backfill of days become.

use std::collections::HashMap;

use futures_util::future::{BoxFuture, FutureExt};
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::QueueError;
use weirgate_queue::backfill::{Expansion, SliceQuery, Slices, TenantScope};
use weirgate_web::backfill::BackfillRange;

use super::find::due;
use super::kind::BackfillKind;

/// Slices that one step looks at, at most.
const LOOK: u64 = 10_000;

/// Says what the slices of a [`BackfillRange`] become.
#[derive(Debug, Clone, Copy)]
pub struct DailySlices;

impl Slices for DailySlices {
    fn knows(&self, kind: &str) -> bool {
        kind.parse::<BackfillKind>().is_ok()
    }

    fn expand<'a>(
        &'a self,
        conn: &'a mut PgConnection,
        kind: &'a str,
        plan: &'a Value,
        query: SliceQuery<'a>,
    ) -> BoxFuture<'a, weirgate_queue::Result<Expansion>> {
        async move {
            let days = BackfillRange::deserialize(plan)?;
            let kind: BackfillKind = kind.parse().map_err(|()| QueueError::UnknownKind(kind.to_owned()))?;
            let SliceQuery { range, tenants, limit } = query;
            let (first, stride, left_out) = match tenants {
                TenantScope::AllExcept(others) => (range.start, 1, others),
                TenantScope::Only(tenant) => {
                    let stride = days.tenants.len() as u64;
                    let Some(place) = days.place(tenant) else {
                        return Ok(Expansion { next: range.end, slices: Vec::new() });
                    };
                    (days.before(place, range.start) * stride + place, stride, &[][..])
                }
            };
            let end = range.end.min(range.start + LOOK * stride);
            let due = due(conn, &days, kind, (&(first..end), stride), left_out, limit).await?;
            let next = if due.len() < limit { end } else { due.last().map_or(end, |(n, ..)| n + 1) };
            let slices = due.iter().map(|(n, tenant, date)| kind.slice(*n, tenant, *date));
            Ok(Expansion { next, slices: slices.collect::<Result<_, _>>()? })
        }
        .boxed()
    }

    fn count(&self, plan: &Value, from: &[(Uuid, u64)], end: u64) -> weirgate_queue::Result<u64> {
        let days = BackfillRange::deserialize(plan)?;
        let places: HashMap<Uuid, u64> = days.tenants.iter().copied().zip(0..).collect();
        let of = |(id, from): &(Uuid, u64)| {
            places.get(id).map_or(0, |place| days.before(*place, end) - days.before(*place, *from))
        };
        Ok(from.iter().map(of).sum())
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;
    use weirgate_web::backfill::{BackfillOrder, Reprocess};

    #[test]
    fn slices_of_a_tenant_are_counted_without_a_walk() {
        let day = |day| NaiveDate::from_ymd_opt(2026, 1, day).unwrap();
        let tenants: Vec<Uuid> = (0..5).map(Uuid::from_u128).collect();
        let (order, reprocess) = (BackfillOrder::NewestFirst, Reprocess::All);
        let range = BackfillRange { tenants: tenants.clone(), from: day(1), to: day(7), order, reprocess };
        let plan = serde_json::to_value(&range).unwrap();
        for tenant in 0..5 {
            for from in 0..35 {
                for end in from..=35 {
                    let walked = (from..end).filter(|n| n % 5 == tenant).count() as u64;
                    let id = tenants[usize::try_from(tenant).unwrap()];
                    assert_eq!(DailySlices.count(&plan, &[(id, from)], end).unwrap(), walked);
                }
            }
        }
        let all: Vec<(Uuid, u64)> = tenants.into_iter().map(|id| (id, 3)).collect();
        assert_eq!(DailySlices.count(&plan, &all, 35).unwrap(), 32);
    }
}
