//! Claim: a worker takes a batch of jobs that may start. Claims are decided one after the other,
//! over all workers.

pub(crate) mod claimed_job;
pub(crate) mod claimer;
pub(crate) mod guard;
pub(crate) mod persist_running;
pub(crate) mod plan;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::claim::persist_running::persist_running;
use crate::error::Result;

pub(crate) use claimed_job::ClaimedJob;
pub(crate) use claimer::{Claim, Claimer};
pub(crate) use plan::Capacity;

/// Claims once with a view of its own, and persists at once that the jobs run: for tests and tools.
/// A worker keeps its [`Claimer`].
pub async fn claim(
    conn: &mut PgConnection,
    worker: Uuid,
    queue: &str,
    limit: usize,
) -> Result<Vec<ClaimedJob>> {
    let mut claimer = Claimer::open(conn, queue).await?;
    loop {
        let claim = claimer.claim(conn, worker, Capacity::of(limit)).await?;
        if !claim.jobs.is_empty() || !claim.poll_again {
            persist_running(conn, claim.jobs.iter().map(|job| job.run.start()).collect()).await?;
            return Ok(claim.jobs);
        }
    }
}
