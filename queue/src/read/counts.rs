//! How many jobs match a filter in each state, at a bounded cost however many there are.
//!
//! The queue views count jobs as they change: all jobs, those of a queue, of a tenant, of a
//! backfill. These counts are exact. For any other filter, jobs are counted up to a limit, in the
//! walks that lists use.

use az::SaturatingAs;
use sqlx::PgConnection;

use super::list::{JobFilter, walk};
use crate::error::Result;
use crate::job::state::JobState;
use crate::lanes::{QueueViews, traffic};

/// Most jobs that are counted in each state where no view counts them.
pub const MAX_COUNTED: i64 = 1000;

/// How many jobs are in a state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobCount {
    /// How many jobs were counted.
    pub jobs: i64,
    /// Whether there may be more.
    pub more: bool,
}

/// How many jobs are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobCounts([JobCount; JobState::ALL.len()]);

impl JobCounts {
    /// How many jobs are in `state`.
    pub const fn of(&self, state: JobState) -> JobCount {
        self.0[state as usize]
    }

    /// How many jobs are in any of `states`.
    pub fn sum(&self, states: &[JobState]) -> JobCount {
        states.iter().map(|state| self.of(*state)).fold(JobCount::default(), |sum, one| JobCount {
            jobs: sum.jobs + one.jobs,
            more: sum.more || one.more,
        })
    }
}

/// Whether the queue views count the jobs that match the filter, whatever states it names.
pub fn is_counted_by_views(filter: &JobFilter) -> bool {
    let countable = JobFilter {
        states: filter.states.clone(),
        queue: filter.queue.clone(),
        tenant: filter.tenant,
        backfill: filter.backfill,
        ..JobFilter::default()
    };
    *filter == countable
}

/// The counts of the queue views for a filter that [`is_counted_by_views`], whatever states it
/// names.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub async fn count_by_views(
    views: &QueueViews,
    conn: &mut PgConnection,
    filter: &JobFilter,
) -> Result<JobCounts> {
    let mut counts = JobCounts::default();
    for queue in traffic::counted_queues(conn).await? {
        if filter.queue.as_ref().is_some_and(|name| *name != queue) {
            continue;
        }
        for (state, jobs) in views.counts(conn, &queue, filter.tenant, filter.backfill).await? {
            counts.0[state as usize].jobs += jobs;
        }
    }
    Ok(counts)
}

/// Counts the jobs that match any filter, whatever states it names: in each state up to
/// [`MAX_COUNTED`], among as many jobs as a page of a list examines.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub async fn count_by_walking(conn: &mut PgConnection, filter: &JobFilter) -> Result<JobCounts> {
    let mut counts = JobCounts::default();
    for state in JobState::ALL {
        let filter = JobFilter { states: Some(vec![state]), ..filter.clone() };
        let walked = walk(conn, &filter, None, MAX_COUNTED + 1).await?;
        let found = walked.seqs.len().saturating_as::<i64>();
        counts.0[state as usize] =
            JobCount { jobs: found.min(MAX_COUNTED), more: found > MAX_COUNTED || walked.floor.is_some() };
    }
    Ok(counts)
}
