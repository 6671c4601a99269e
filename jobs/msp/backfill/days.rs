//! What became of the days of a backfill, tenant by tenant.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use chrono::{Days, NaiveDate};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::JobState;

use super::kind::BackfillKind;
use super::range::BackfillOrder;

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
    /// The days of a backfill; `None` where there is none of that id, or one of something else than days.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn find(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Self>> {
        let row = sqlx::query!(
            r#"select kind as "kind!", next_slice, (plan ->> 'from')::date as "from!", (plan ->> 'to')::date as "to!",
                plan ->> 'order' as "order!", jsonb_array_length(plan -> 'tenants')::bigint as "tenants!"
               from queue.backfills where id = $1 and kind = any($2)"#,
            id,
            &BackfillKind::ALL.map(|kind| kind.as_str().to_owned())
        )
        .fetch_optional(conn)
        .await?;
        Ok(row.and_then(|row| {
            Some(Self {
                id,
                kind: row.kind.parse().ok()?,
                from: row.from,
                to: row.to,
                order: row.order.parse().ok()?,
                tenants: row.tenants.unsigned_abs(),
                next_slice: row.next_slice.unsigned_abs(),
            })
        }))
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

    /// The jobs of `days` of the tenants at `places`. The cost is by these, and not by the size of the backfill.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn of(
        &self,
        conn: &mut PgConnection,
        places: RangeInclusive<u64>,
        days: RangeInclusive<NaiveDate>,
    ) -> sqlx::Result<Vec<TenantDays>> {
        let (ids, mut tenants): (Vec<Uuid>, Vec<TenantDays>) =
            self.tenants_at(&mut *conn, places).await?.into_iter().unzip();
        let (first, last, step) = match self.order {
            BackfillOrder::NewestFirst => (days.end(), days.start(), -1),
            BackfillOrder::OldestFirst => (days.start(), days.end(), 1),
        };
        let rows = sqlx::query_file!(
            "./backfill/days.sql",
            self.id,
            self.kind.job_queue(),
            self.kind.job_kind(),
            &ids,
            first,
            last,
            step,
            (*days.end() - *days.start()).num_days() + 1
        )
        .fetch_all(conn)
        .await?;
        for row in rows {
            let tenant = usize::try_from(row.place - 1).ok().and_then(|place| tenants.get_mut(place));
            let state: Option<JobState> = row.state.parse().ok();
            if let Some((tenant, state)) = tenant.zip(state) {
                let job =
                    SliceJob { id: row.id, state, workflow: row.workflow_id, is_stopped: row.is_stopped };
                tenant.jobs.insert(row.day, job);
            }
        }
        Ok(tenants)
    }

    async fn tenants_at(
        &self,
        conn: &mut PgConnection,
        places: RangeInclusive<u64>,
    ) -> sqlx::Result<Vec<(Uuid, TenantDays)>> {
        let to_i64 = |number: &u64| i64::try_from(*number).unwrap_or(i64::MAX);
        let rows = sqlx::query!(
            r#"select asked.id as "id!", coalesce(t.slug, asked.id::text) as "tenant!",
                d.next_slice as "next_slice?"
               from queue.backfills b
               cross join lateral (
                   select (value #>> '{}')::uuid as id, place from jsonb_path_query(
                       b.plan, '$.tenants[$first to $last]', jsonb_build_object('first', $2::bigint, 'last', $3::bigint)
                   ) with ordinality as p (value, place)
               ) as asked
               left join identity.tenants t on t.id = asked.id
               left join queue.backfills_behind d on d.backfill_id = b.id and d.tenant_id = asked.id
               where b.id = $1 order by asked.place"#,
            self.id,
            to_i64(places.start()),
            to_i64(places.end())
        )
        .fetch_all(conn)
        .await?;
        let places = *places.start()..;
        let tenants = rows.into_iter().zip(places).map(|(row, place)| {
            let next_slice = row.next_slice.map(i64::unsigned_abs);
            (row.id, TenantDays { place, tenant: row.tenant, next_slice, jobs: HashMap::new() })
        });
        Ok(tenants.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, day).unwrap()
    }

    fn january(order: BackfillOrder, next_slice: u64) -> BackfillDays {
        let kind = BackfillKind::ComputeKpi;
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
