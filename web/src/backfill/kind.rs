//! What a backfill does for each tenant and day, as a domain describes it.

use std::fmt;

use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_identity::TenantSlug;

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
