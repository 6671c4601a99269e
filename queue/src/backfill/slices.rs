//! What the application says about the slices of its backfills.

use std::ops::Range;

use futures_util::future::BoxFuture;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::enqueue::NewJob;
use crate::error::Result;

/// The jobs of one slice.
#[derive(Debug, Clone)]
pub struct Slice {
    /// The number of the slice, from 0.
    pub number: u64,
    /// The jobs, such as those of a workflow. All are of one tenant.
    pub jobs: Vec<NewJob>,
    /// The job that stands for the slice: while a duplicate of it is live, the slice is in flight
    /// already.
    pub last: Uuid,
}

impl Slice {
    /// A slice of one job.
    pub fn one(number: u64, job: NewJob) -> Self {
        Self { number, last: job.id, jobs: vec![job] }
    }

    /// The tenant of its jobs; `None` when it has none.
    pub(crate) fn tenant(&self) -> Option<Uuid> {
        self.jobs.first().map(|job| job.tenant)
    }
}

/// The tenants whose slices are wanted.
#[derive(Debug, Clone, Copy)]
pub enum TenantScope<'a> {
    /// All tenants except these.
    AllExcept(&'a [Uuid]),
    /// One tenant.
    Only(Uuid),
}

/// Which slices the expander wants next.
#[derive(Debug, Clone)]
pub struct SliceQuery<'a> {
    /// Slices with these numbers, from the first one on.
    pub range: Range<u64>,
    /// Slices of other tenants are passed over.
    pub tenants: TenantScope<'a>,
    /// Most slices to return.
    pub limit: usize,
}

/// The next slices that have something to do.
#[derive(Debug, Clone)]
pub struct Expansion {
    /// The first slice that was not examined.
    pub next: u64,
    /// The slices that have something to do, in order. Those before `next` that are not here have
    /// nothing to do.
    pub slices: Vec<Slice>,
}

/// What the slices of backfills are. The application implements this.
pub trait Slices: Send + Sync {
    /// Whether it knows backfills of this kind.
    fn knows(&self, kind: &str) -> bool;

    /// Examines slices from the start of the range on, until it has found as many as the query's
    /// limit that have something to do, or has examined as many as it likes (at least one). It
    /// reads the database through `conn`.
    fn expand<'a>(
        &'a self,
        conn: &'a mut PgConnection,
        kind: &'a str,
        plan: &'a Value,
        query: SliceQuery<'a>,
    ) -> BoxFuture<'a, Result<Expansion>>;

    /// Counts the slices of these tenants, for each tenant from its number up to `end` (excluded),
    /// whether they have something to do or not.
    ///
    /// # Errors
    /// When the plan is not one that it has made.
    fn count(&self, plan: &Value, from: &[(Uuid, u64)], end: u64) -> Result<u64>;
}
