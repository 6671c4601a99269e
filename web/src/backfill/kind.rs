//! What a backfill does for each tenant and day, as a domain describes it.

use std::fmt;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_identity::{Tenant, TenantSlug};
use weirgate_queue::backfill::{BackfillSettings, NewBackfill};

use super::range::BackfillRange;

/// A tenant, and how many of its slices there is something to do for.
pub type TenantCount = (Uuid, TenantSlug, u64);

/// Counts the slices of a range that there is something to do for, by tenant, in the order of the
/// range; those that are on their way already count, and days that have not begun do not.
pub type CountSlices =
    for<'a> fn(&'a mut PgConnection, &'a BackfillRange) -> BoxFuture<'a, sqlx::Result<Vec<TenantCount>>>;

/// A kind of backfill.
#[derive(Clone, Copy)]
pub struct BackfillKind {
    /// The name for people, in requests and in answers.
    pub name: &'static str,
    /// The name in the database; in requests an older one, which is still taken.
    pub stored: &'static str,
    /// Most jobs that a slice becomes.
    pub jobs_of_slice: u64,
    /// The kind of the job that stands for a slice.
    pub job_kind: &'static str,
    /// The queue of that job.
    pub job_queue: &'static str,
    /// The queues of all its jobs.
    pub queues: &'static [&'static str],
    /// Counts what there is to do.
    pub count: CountSlices,
}

impl BackfillKind {
    /// The backfill of the days of a range. People see the tenants' slugs where they were `named`,
    /// else that it is for all; and how many days have not begun.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn backfill(
        &self,
        conn: &mut PgConnection,
        range: &BackfillRange,
        named: Option<&[Tenant]>,
        priority: i16,
        settings: BackfillSettings,
        traceparent: Option<String>,
    ) -> weirgate_queue::Result<NewBackfill> {
        let slugs = |tenants: &[Tenant]| tenants.iter().map(|tenant| tenant.slug.0.clone()).collect();
        let tenants = named.map_or(Value::from("all"), slugs);
        Ok(NewBackfill {
            kind: self.stored.to_owned(),
            spec: json!({
                "tenants": tenants, "from": range.from, "to": range.to, "order": range.order, "reprocess": range.reprocess,
                "future_days": range.future_days(conn).await?,
            }),
            plan: serde_json::to_value(range)?,
            total: range.total(),
            queues: self.queues.iter().map(|queue| (*queue).to_owned()).collect(),
            priority,
            settings,
            traceparent,
        })
    }
}

impl fmt::Debug for BackfillKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BackfillKind").field(&self.name).finish()
    }
}

impl fmt::Display for BackfillKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
