//! How many jobs a filter takes in each state, at a bounded cost however many there are.
//!
//! The queue views count jobs as they change. What they count by is exact: all jobs, those of a
//! queue, of a tenant, of a backfill. Of any other filter jobs are counted up to a number that says
//! "many", along the walks of the list.

use sqlx::PgConnection;

use super::list::{JobFilter, walk};
use crate::error::Result;
use crate::job::state::JobState;
use crate::lanes::{Books, traffic};

/// Jobs that are counted of each state where no view counts them.
pub const COUNTED: i64 = 1000;

/// How many jobs are in a state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// So many were counted.
    pub jobs: i64,
    /// There may be more.
    pub more: bool,
}

/// How many jobs are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tallies([Tally; JobState::ALL.len()]);

impl Tallies {
    /// Jobs in `state`.
    pub const fn of(&self, state: JobState) -> Tally {
        self.0[state as usize]
    }

    /// Jobs in any of `states`.
    pub fn sum(&self, states: &[JobState]) -> Tally {
        states.iter().map(|state| self.of(*state)).fold(Tally::default(), |sum, one| Tally {
            jobs: sum.jobs + one.jobs,
            more: sum.more || one.more,
        })
    }
}

/// Whether the queue views count what the filter takes, whatever states it names.
pub fn is_kept(filter: &JobFilter) -> bool {
    let kept = JobFilter {
        states: filter.states.clone(),
        queue: filter.queue.clone(),
        tenant: filter.tenant,
        backfill: filter.backfill,
        ..JobFilter::default()
    };
    *filter == kept
}

/// What the queue views have counted of a filter that [`is_kept`], whatever states it names.
///
/// # Errors
/// When the database cannot be asked.
pub async fn kept(books: &Books, conn: &mut PgConnection, filter: &JobFilter) -> Result<Tallies> {
    let mut tallies = Tallies::default();
    for queue in traffic::recorded(conn).await? {
        if filter.queue.as_ref().is_some_and(|wanted| *wanted != queue) {
            continue;
        }
        for (state, jobs) in books.counts(conn, &queue, filter.tenant, filter.backfill).await? {
            tallies.0[state as usize].jobs += jobs;
        }
    }
    Ok(tallies)
}

/// Counts what any filter takes, whatever states it names: in each state up to [`COUNTED`], and
/// among as many jobs as a page of the list looks at.
///
/// # Errors
/// When the database cannot be asked.
pub async fn counted(conn: &mut PgConnection, filter: &JobFilter) -> Result<Tallies> {
    let mut tallies = Tallies::default();
    for state in JobState::ALL {
        let filter = JobFilter { states: Some(vec![state]), ..filter.clone() };
        let page = walk(conn, &filter, None, COUNTED + 1).await?;
        let met = i64::try_from(page.seqs.len()).unwrap_or(i64::MAX);
        tallies.0[state as usize] =
            Tally { jobs: met.min(COUNTED), more: met > COUNTED || page.floor.is_some() };
    }
    Ok(tallies)
}
