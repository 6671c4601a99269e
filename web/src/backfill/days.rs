//! What became of the days of a backfill, tenant by tenant.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use chrono::{Days, NaiveDate};
use serde::Deserialize;
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::JobState;
use weirgate_queue::backfill::{self, PlannedTenant, SliceState, SlicesAsked};

use super::kind::BackfillKind;
use super::range::BackfillOrder;

/// The list of tenants in a backfill's plan.
const TENANTS: &str = "tenants";

/// A backfill's plan without that list.
#[derive(Deserialize)]
struct Plan {
    from: NaiveDate,
    to: NaiveDate,
    order: BackfillOrder,
}

/// The days of a backfill, and how far it came.
#[derive(Debug, Clone)]
pub struct BackfillDays {
    id: Uuid,
    kind: BackfillKind,
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
    order: BackfillOrder,
    /// How many tenants it is for.
    pub tenants: u64,
    /// Slices before this one became jobs, or were skipped.
    next_slice: u64,
}

/// The job that stands for a tenant's day.
#[derive(Debug, Clone)]
pub struct SliceJob {
    /// The job.
    pub id: Uuid,
    /// Where it stands.
    pub state: JobState,
    /// The workflow that it is the last job of.
    pub workflow: Option<Uuid>,
    /// Whether it was cancelled since a job before it failed.
    pub is_stopped: bool,
}

/// A tenant's days.
#[derive(Debug, Clone)]
pub struct TenantDays {
    /// Its place among the backfill's tenants, from 0.
    pub place: u64,
    /// Its slug; the id of one that is gone.
    pub tenant: String,
    /// Slices of it before this one had their turn, where the backfill went on without it.
    pub next_slice: Option<u64>,
    /// The jobs of its days; a day that was skipped, or whose turn is yet to come, has none.
    pub jobs: HashMap<NaiveDate, SliceJob>,
}

impl BackfillDays {
    /// The days of a backfill of one of these kinds; `None` where there is none of that id, or one
    /// of another kind.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn find(
        conn: &mut PgConnection,
        id: Uuid,
        kinds: &[BackfillKind],
    ) -> weirgate_queue::Result<Option<Self>> {
        let Some(planned) = backfill::planned(conn, id, TENANTS).await? else { return Ok(None) };
        let Some(kind) = kinds.iter().copied().find(|kind| kind.stored == planned.kind) else {
            return Ok(None);
        };
        let Plan { from, to, order } = serde_json::from_value(planned.plan)?;
        let (tenants, next_slice) = (planned.listed, planned.next_slice);
        Ok(Some(Self { id, kind, from, to, order, tenants, next_slice }))
    }

    /// The first slice of a day.
    fn first_slice(&self, day: NaiveDate) -> u64 {
        let days = match self.order {
            BackfillOrder::NewestFirst => self.to - day,
            BackfillOrder::OldestFirst => day - self.from,
        };
        days.num_days().max(0).unsigned_abs() * self.tenants
    }

    /// The day whose turn it is; the last one that had its turn once all had.
    pub fn current(&self) -> NaiveDate {
        let all = (self.to - self.from).num_days().unsigned_abs();
        let past = Days::new(self.next_slice.checked_div(self.tenants).unwrap_or(0).min(all));
        let day = match self.order {
            BackfillOrder::NewestFirst => self.to.checked_sub_days(past),
            BackfillOrder::OldestFirst => self.from.checked_add_days(past),
        };
        day.unwrap_or(self.from)
    }

    /// Whether a day of a tenant had its turn.
    pub fn had_its_turn(&self, tenant: &TenantDays, day: NaiveDate) -> bool {
        self.first_slice(day) + tenant.place < tenant.next_slice.unwrap_or(self.next_slice)
    }

    /// The jobs of `days` of the tenants at `places`. The cost is by these, and not by the size of
    /// the backfill.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn of(
        &self,
        conn: &mut PgConnection,
        places: RangeInclusive<u64>,
        days: RangeInclusive<NaiveDate>,
    ) -> weirgate_queue::Result<Vec<TenantDays>> {
        let (ids, mut tenants): (Vec<Uuid>, Vec<TenantDays>) =
            self.tenants_at(&mut *conn, places).await?.into_iter().unzip();
        let descending = self.order == BackfillOrder::NewestFirst;
        let (lowest, highest) = (days.start().to_string(), days.end().to_string());
        let asked = SlicesAsked {
            queue: self.kind.job_queue,
            kind: self.kind.job_kind,
            tenants: &ids,
            first: if descending { &highest } else { &lowest },
            last: if descending { &lowest } else { &highest },
            descending,
            limit: (*days.end() - *days.start()).num_days() + 1,
        };
        for job in backfill::slice_states(conn, self.id, &asked).await? {
            let day = job.subject.parse().ok();
            if let Some((tenant, day)) = tenants.get_mut(job.tenant).zip(day) {
                let SliceState { id, state, workflow_id: workflow, is_stopped, .. } = job;
                tenant.jobs.insert(day, SliceJob { id, state, workflow, is_stopped });
            }
        }
        Ok(tenants)
    }

    async fn tenants_at(
        &self,
        conn: &mut PgConnection,
        places: RangeInclusive<u64>,
    ) -> weirgate_queue::Result<Vec<(Uuid, TenantDays)>> {
        let planned = backfill::planned_tenants(&mut *conn, self.id, TENANTS, &places).await?;
        let ids: Vec<Uuid> = planned.iter().map(|tenant| tenant.id).collect();
        let rows = sqlx::query!("select id, slug from identity.tenants where id = any($1)", &ids)
            .fetch_all(conn)
            .await?;
        let slugs: HashMap<Uuid, String> = rows.into_iter().map(|row| (row.id, row.slug)).collect();
        let tenants =
            planned.into_iter().zip(*places.start()..).map(|(PlannedTenant { id, next_slice }, place)| {
                let tenant = slugs.get(&id).cloned().unwrap_or_else(|| id.to_string());
                (id, TenantDays { place, tenant, next_slice, jobs: HashMap::new() })
            });
        Ok(tenants.collect())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::FutureExt;

    use super::*;

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, day).unwrap()
    }

    fn january(order: BackfillOrder, next_slice: u64) -> BackfillDays {
        let kind = BackfillKind {
            name: "count",
            stored: "count",
            jobs_of_slice: 1,
            job_kind: "count",
            job_queue: "default",
            queues: &["default"],
            count: |_, _| std::future::ready(Ok(Vec::new())).boxed(),
        };
        BackfillDays { id: Uuid::nil(), kind, from: day(1), to: day(31), order, tenants: 3, next_slice }
    }

    #[test]
    fn slices_go_through_all_tenants_of_a_day() {
        let newest = january(BackfillOrder::NewestFirst, 7);
        assert_eq!(newest.current(), day(29));
        let tenant =
            |place, next_slice| TenantDays { place, tenant: String::new(), next_slice, jobs: HashMap::new() };
        let had = |place, day| newest.had_its_turn(&tenant(place, None), day);
        assert!(had(0, day(29)) && !had(1, day(29)) && had(2, day(30)) && !had(0, day(28)));
        let behind = tenant(0, Some(1));
        assert!(newest.had_its_turn(&behind, day(31)) && !newest.had_its_turn(&behind, day(30)));
        let oldest = january(BackfillOrder::OldestFirst, 7);
        assert_eq!(oldest.current(), day(3));
        assert!(
            oldest.had_its_turn(&tenant(0, None), day(3)) && !oldest.had_its_turn(&tenant(1, None), day(3))
        );
        assert_eq!(january(BackfillOrder::OldestFirst, 93).current(), day(31), "it is over");
        assert_eq!(january(BackfillOrder::NewestFirst, 93).current(), day(1));
    }
}
