//! Claim guards: which claims of this process are acknowledged, so that their rows can be deleted.
//!
//! A claim's row (`queue.claims`) is where the jobs of a dead worker are found. It must stay until
//! all of its jobs have ended, and may stay longer: it is deleted with the next group of outcomes,
//! or with the next heartbeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::database::column::column;
use crate::error::Result;

/// Which claim: of which worker and queue, under which claim sequence number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimKey {
    pub(crate) worker: Uuid,
    pub(crate) queue: String,
    pub(crate) claim_seq: i64,
}

/// The claims of this process that are acknowledged and still have their row.
#[derive(Debug, Clone, Default)]
pub(crate) struct AcknowledgedClaims(Arc<Mutex<Vec<ClaimKey>>>);

impl AcknowledgedClaims {
    /// Guards a claim of so many jobs. Each of them takes a clone along, and acknowledges the claim
    /// when it has ended.
    pub(crate) fn guard(&self, claim: ClaimKey, jobs: usize) -> ClaimGuard {
        ClaimGuard(Arc::new(OpenClaim { claim, open: AtomicUsize::new(jobs), acknowledged: self.clone() }))
    }

    /// Takes all of them, to delete their rows.
    pub(crate) fn take(&self) -> Vec<ClaimKey> {
        std::mem::take(&mut *self.0.lock())
    }

    /// The outcomes of `worker` were lost with a history of the database: its claims keep their
    /// rows.
    pub(crate) fn forget_worker(&self, worker: Uuid) {
        self.0.lock().retain(|claim| claim.worker != worker);
    }

    /// Puts back claims that were taken and could not be deleted.
    pub(crate) fn put_back(&self, claims: Vec<ClaimKey>) {
        self.0.lock().extend(claims);
    }
}

#[derive(Debug)]
struct OpenClaim {
    claim: ClaimKey,
    /// Its jobs that have not ended.
    open: AtomicUsize,
    acknowledged: AcknowledgedClaims,
}

/// One job's hold on its claim: the claim is acknowledged when all of its jobs have ended.
#[derive(Debug, Clone)]
pub(crate) struct ClaimGuard(Arc<OpenClaim>);

impl ClaimGuard {
    /// The job's outcome is in the database, or that of another run is. To be called once for each
    /// job.
    pub(crate) fn acknowledge(&self) {
        if self.0.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.acknowledged.put_back(vec![self.0.claim.clone()]);
        }
    }
}

/// Deletes the rows of claims that are acknowledged.
pub(crate) async fn delete(conn: &mut PgConnection, claims: &[ClaimKey]) -> Result<()> {
    if claims.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "delete from queue.claims c using unnest(
             -- Hidden from the planner, which otherwise plans anew for each number of claims.
             (select $1::uuid[]), (select $2::text[]), (select $3::bigint[])) as gone (worker_id, queue, claim_seq)
         where c.worker_id = gone.worker_id and c.queue = gone.queue and c.claim_seq = gone.claim_seq
           -- What was acknowledged in a lost history is not acknowledged in this one.
           and exists (select from queue.workers w where w.id = gone.worker_id and w.history = queue.history_id())",
        &column(claims, |claim| claim.worker),
        &column(claims, |claim| claim.queue.clone()),
        &column(claims, |claim| claim.claim_seq)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds claims for running jobs that no claim has, so that they are rescued when their worker is
/// gone; returns how many. The engine never leaves such jobs behind, but a change by hand may.
/// Walks over all jobs.
pub(crate) async fn adopt_orphans(conn: &mut PgConnection) -> Result<u64> {
    let orphans = sqlx::query_scalar!(
        r#"
        with orphan as (
            -- A set operation, as the planner misjudges joins here: it knows nothing of how many
            -- jobs claims hold.
            select worker_id, queue, seq, run from queue.jobs where state = 'running' and worker_id is not null
            except
            select worker_id, queue, seq, run from queue.in_flight
        ), added as (
            insert into queue.claims as c (worker_id, queue, claim_seq, jobs, runs)
            select worker_id, queue, 0, array_agg(seq), array_agg(run) from orphan group by worker_id, queue
            on conflict (worker_id, queue, claim_seq) do update
            set jobs = c.jobs || excluded.jobs, runs = c.runs || excluded.runs
        )
        select count(*) as "orphans!" from orphan
        "#
    )
    .fetch_one(conn)
    .await?;
    if orphans > 0 {
        tracing::error!(
            jobs = orphans,
            "running jobs belonged to no claim; they are rescued when their workers are gone"
        );
    }
    Ok(orphans.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claim_is_acknowledged_with_its_last_job() {
        let claim = ClaimKey { worker: Uuid::nil(), queue: "default".to_owned(), claim_seq: 7 };
        let acknowledged = AcknowledgedClaims::default();
        let guard = acknowledged.guard(claim.clone(), 2);
        guard.clone().acknowledge();
        assert!(acknowledged.take().is_empty());
        guard.acknowledge();
        let taken = acknowledged.take();
        assert_eq!(taken, [claim]);
        assert!(acknowledged.take().is_empty());
        acknowledged.put_back(taken.clone());
        assert_eq!(acknowledged.take(), taken);
    }
}
