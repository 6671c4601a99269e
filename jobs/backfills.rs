//! Backfills of days: a slice is one tenant and day. Slices go day by day, and through all tenants
//! within a day, so that no tenant waits for another one's whole range.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use chrono::NaiveDate;
use futures_util::future::{BoxFuture, FutureExt};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_identity::{Tenant, TenantSlug};
use weirgate_queue::backfill::{Expansion, Look, NewBackfill, Settings, Slice, Slices, Whose};
use weirgate_queue::{Job, NewJob, QueueError};

use crate::{
    ComputeKpi, DailyPipeline, ExportFormat, GenerateExport, IngestCsat, IngestSecurityAlerts, IngestTickets,
    IngestTimeEntries,
};

/// Slices that one step looks at, at most.
const LOOK: u64 = 10_000;

/// What is done for each tenant and day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackfillKind {
    /// The job `compute_kpi`.
    ComputeKpi,
    /// The job `generate_export`, as JSON.
    GenerateExport,
    /// The daily pipeline.
    #[serde(rename = "daily_pipeline", alias = "pipeline")]
    Pipeline,
}

impl BackfillKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::ComputeKpi, Self::GenerateExport, Self::Pipeline];

    /// The name for people, in requests and in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pipeline => DailyPipeline::NAME,
            other => other.as_str(),
        }
    }

    /// The name in the database; in requests an older one, which is still taken.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ComputeKpi => ComputeKpi::KIND,
            Self::GenerateExport => GenerateExport::KIND,
            Self::Pipeline => "pipeline",
        }
    }

    /// What people call a kind that is stored.
    pub fn name_of(stored: &str) -> &str {
        stored.parse().map_or(stored, |kind: Self| kind.name())
    }

    /// Most jobs that a slice becomes.
    pub const fn jobs_of_slice(self) -> u64 {
        match self {
            Self::ComputeKpi | Self::GenerateExport => 1,
            Self::Pipeline => DailyPipeline::JOBS,
        }
    }

    /// The kind of the job that stands for a slice.
    pub(crate) const fn job_kind(self) -> &'static str {
        match self {
            Self::ComputeKpi => ComputeKpi::KIND,
            Self::GenerateExport | Self::Pipeline => GenerateExport::KIND,
        }
    }

    /// The queue of that job.
    pub(crate) const fn job_queue(self) -> &'static str {
        match self {
            Self::ComputeKpi => ComputeKpi::QUEUE,
            Self::GenerateExport | Self::Pipeline => GenerateExport::QUEUE,
        }
    }

    fn queues(self) -> Vec<String> {
        let names = match self {
            Self::ComputeKpi => vec![ComputeKpi::QUEUE],
            Self::GenerateExport => vec![GenerateExport::QUEUE],
            Self::Pipeline => vec![GenerateExport::QUEUE, IngestTickets::QUEUE, ComputeKpi::QUEUE],
        };
        names.into_iter().map(str::to_owned).collect()
    }

    fn slice(self, number: u64, tenant: &Tenant, date: NaiveDate) -> weirgate_queue::Result<Slice> {
        let named = || tenant.into();
        Ok(match self {
            Self::ComputeKpi => {
                Slice::one(number, NewJob::of(tenant.id, &ComputeKpi { tenant: named(), date })?)
            }
            Self::GenerateExport => {
                let job = GenerateExport { tenant: named(), date, format: ExportFormat::Json };
                Slice::one(number, NewJob::of(tenant.id, &job)?)
            }
            Self::Pipeline => {
                let pipeline = DailyPipeline::new(tenant, date, |job| job)?;
                Slice { number, last: pipeline.last(), jobs: pipeline.into_jobs()? }
            }
        })
    }
}

impl fmt::Display for BackfillKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for BackfillKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ingests =
            [IngestTickets::KIND, IngestTimeEntries::KIND, IngestCsat::KIND, IngestSecurityAlerts::KIND];
        if ingests.contains(&text) {
            return Err(format!(
                "{text} takes in all that its source has, not one day: enqueue it once, or backfill daily_pipeline"
            ));
        }
        Self::ALL
            .into_iter()
            .find(|kind| [kind.name(), kind.as_str()].contains(&text))
            .ok_or_else(|| "expected compute_kpi, generate_export or daily_pipeline".to_owned())
    }
}

/// Which end of the range comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackfillOrder {
    /// The last day first.
    #[default]
    NewestFirst,
    /// The first day first.
    OldestFirst,
}

impl FromStr for BackfillOrder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "newest_first" => Ok(Self::NewestFirst),
            "oldest_first" => Ok(Self::OldestFirst),
            _ => Err("expected newest_first or oldest_first".to_owned()),
        }
    }
}

/// Which days there is something to do for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reprocess {
    /// Days without a result that was made after their end.
    #[default]
    Missing,
    /// Days that failed for good, without a result since.
    Failed,
    /// Every day.
    All,
}

impl Reprocess {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Missing, Self::Failed, Self::All];

    /// The name in requests and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Failed => "failed",
            Self::All => "all",
        }
    }
}

impl FromStr for Reprocess {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|it| it.as_str() == text)
            .ok_or_else(|| "expected missing, failed or all".to_owned())
    }
}

/// Days of tenants.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackfillRange {
    /// Whose days, in the order in which they have their turns.
    pub tenants: Vec<Uuid>,
    /// The first day, in each tenant's time zone.
    pub from: NaiveDate,
    /// The last day, not before the first.
    pub to: NaiveDate,
    /// Which end comes first.
    pub order: BackfillOrder,
    /// Which of the days.
    pub reprocess: Reprocess,
}

impl BackfillRange {
    /// Most slices that a backfill may have.
    pub const MOST_SLICES: u64 = 100_000_000;

    /// Slices there are: each tenant's days.
    pub fn total(&self) -> u64 {
        let days = (self.to - self.from).num_days() + 1;
        u64::try_from(days).unwrap_or(0) * self.tenants.len() as u64
    }

    /// Slices whose day has not begun where the tenant is. They are skipped, unless it has when
    /// their turn comes.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn future_days(&self, conn: &mut PgConnection) -> sqlx::Result<u64> {
        let days = sqlx::query_scalar!(
            r#"select coalesce(sum(greatest(
                   $3::date - greatest((queue.now() at time zone time_zone)::date + 1, $2::date) + 1, 0
               )), 0)::bigint as "days!"
               from tenants where id = any($1)"#,
            &self.tenants,
            self.from,
            self.to
        )
        .fetch_one(conn)
        .await?;
        Ok(days.unsigned_abs())
    }

    /// The backfill of these days. People see the tenants' slugs where they were `named`, else that
    /// it is for all; and how many days have not begun.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn backfill(
        &self,
        conn: &mut PgConnection,
        kind: BackfillKind,
        named: Option<&[Tenant]>,
        priority: i16,
        settings: Settings,
        traceparent: Option<String>,
    ) -> weirgate_queue::Result<NewBackfill> {
        let slugs = |tenants: &[Tenant]| tenants.iter().map(|tenant| tenant.slug.0.clone()).collect();
        let tenants = named.map_or(Value::from("all"), slugs);
        Ok(NewBackfill {
            kind: kind.as_str().to_owned(),
            spec: json!({
                "tenants": tenants, "from": self.from, "to": self.to, "order": self.order, "reprocess": self.reprocess,
                "future_days": self.future_days(conn).await?,
            }),
            plan: serde_json::to_value(self)?,
            total: self.total(),
            queues: kind.queues(),
            priority,
            settings,
            traceparent,
        })
    }

    /// Slices that there is something to do for, by tenant, in their order; those that are on their
    /// way already count, and days that have not begun do not.
    pub async fn count(
        &self,
        conn: &mut PgConnection,
        kind: BackfillKind,
    ) -> sqlx::Result<Vec<(Uuid, TenantSlug, u64)>> {
        let rows = sqlx::query_file!(
            "./backfill_count.sql",
            &self.tenants,
            self.from,
            self.to,
            kind.as_str(),
            kind.job_kind(),
            self.reprocess.as_str()
        )
        .fetch_all(conn)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| (row.id, TenantSlug(row.slug), row.slices.max(0).unsigned_abs()))
            .collect())
    }

    /// Every so manieth slice is one tenant's, the first of them this.
    fn place(&self, tenant: Uuid) -> Option<u64> {
        self.tenants.iter().position(|id| *id == tenant).map(|place| place as u64)
    }

    /// Slices of the tenant at `place` among the first `end`.
    fn before(&self, place: u64, end: u64) -> u64 {
        let tenants = self.tenants.len() as u64;
        end / tenants + u64::from(end % tenants > place)
    }

    /// The first of the `slices` that there is something to do for, every `stride`th of them, those
    /// of some tenants left out.
    async fn due(
        &self,
        conn: &mut PgConnection,
        kind: BackfillKind,
        (slices, stride): (&Range<u64>, u64),
        left_out: &[Uuid],
        most: usize,
    ) -> sqlx::Result<Vec<(u64, Tenant, NaiveDate)>> {
        let (first_day, step) = match self.order {
            BackfillOrder::NewestFirst => (self.to, -1),
            BackfillOrder::OldestFirst => (self.from, 1),
        };
        let to_i64 = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let rows = sqlx::query_file!(
            "./backfill_slices.sql",
            &self.tenants,
            first_day,
            step,
            to_i64(slices.start),
            to_i64(slices.end),
            kind.as_str(),
            kind.job_kind(),
            self.reprocess.as_str(),
            i64::try_from(most).unwrap_or(i64::MAX),
            to_i64(stride),
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
}

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
        look: Look<'a>,
    ) -> BoxFuture<'a, weirgate_queue::Result<Expansion>> {
        async move {
            let days = BackfillRange::deserialize(plan)?;
            let kind: BackfillKind = kind.parse().map_err(|_| QueueError::UnknownKind(kind.to_owned()))?;
            let Look { range, whose, most } = look;
            let (first, stride, left_out) = match whose {
                Whose::AllBut(tenants) => (range.start, 1, tenants),
                Whose::Only(tenant) => {
                    let stride = days.tenants.len() as u64;
                    let Some(place) = days.place(tenant) else {
                        return Ok(Expansion { next: range.end, slices: Vec::new() });
                    };
                    (days.before(place, range.start) * stride + place, stride, &[][..])
                }
            };
            let end = range.end.min(range.start + LOOK * stride);
            let due = days.due(conn, kind, (&(first..end), stride), left_out, most).await?;
            let next = if due.len() < most { end } else { due.last().map_or(end, |(n, ..)| n + 1) };
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
    use super::*;

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
