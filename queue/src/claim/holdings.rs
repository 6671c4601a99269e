//! What this process holds: which of its claims it has worked off, so that their rows can go.
//!
//! A claim's row (`queue.claims`) is where the jobs of a dead worker are found. It must stay until all of its jobs have
//! ended, and may stay longer: it goes with the next group of outcomes, or the next heartbeat.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;

/// Which claim: whose, of which queue, in which turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimKey {
    pub(crate) worker: Uuid,
    pub(crate) queue: String,
    pub(crate) no: i64,
}

/// The claims of this process that are worked off and still have their row.
#[derive(Debug, Clone, Default)]
pub(crate) struct WorkedOff(Arc<Mutex<Vec<ClaimKey>>>);

impl WorkedOff {
    /// A claim of so many jobs; each of them takes a clone along and says when it is over.
    pub(crate) fn expect(&self, claim: ClaimKey, jobs: usize) -> Share {
        Share(Arc::new(Open { claim, left: AtomicUsize::new(jobs), worked_off: self.clone() }))
    }

    pub(crate) fn take(&self) -> Vec<ClaimKey> {
        std::mem::take(&mut *self.0.lock().expect("no panic while held"))
    }

    /// Those of `worker` stay where they are: what it worked off was lost.
    pub(crate) fn drop_of(&self, worker: Uuid) {
        self.0.lock().expect("no panic while held").retain(|claim| claim.worker != worker);
    }

    /// What was taken and could not be deleted.
    pub(crate) fn put_back(&self, claims: Vec<ClaimKey>) {
        self.0.lock().expect("no panic while held").extend(claims);
    }
}

#[derive(Debug)]
struct Open {
    claim: ClaimKey,
    left: AtomicUsize,
    worked_off: WorkedOff,
}

/// One job's share of its claim.
#[derive(Debug, Clone)]
pub(crate) struct Share(Arc<Open>);

impl Share {
    /// Its outcome is in the database, or another run's is. To be said once for each job.
    pub(crate) fn over(&self) {
        if self.0.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.worked_off.put_back(vec![self.0.claim.clone()]);
        }
    }
}

/// Deletes the rows of claims that are worked off.
pub(crate) async fn forget(conn: &mut PgConnection, claims: &[ClaimKey]) -> Result<()> {
    if claims.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "delete from queue.claims c using unnest(
             -- Hidden from the planner, which otherwise plans anew for each number of them.
             (select $1::uuid[]), (select $2::text[]), (select $3::bigint[])) as gone (worker_id, queue, claim_seq)
         where c.worker_id = gone.worker_id and c.queue = gone.queue and c.claim_seq = gone.claim_seq
           -- What was worked off in a history that was lost is not worked off here.
           and exists (select from queue.workers w where w.id = gone.worker_id and w.history = queue.history_id())",
        &claims.iter().map(|claim| claim.worker).collect::<Vec<_>>(),
        &claims.iter().map(|claim| claim.queue.clone()).collect::<Vec<_>>(),
        &claims.iter().map(|claim| claim.no).collect::<Vec<_>>()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes claims for running jobs that no claim has, so that they are rescued when their worker is gone; returns how many.
/// Claims never leave such jobs behind; a change by hand may. Walks over all jobs.
pub(crate) async fn adopt(conn: &mut PgConnection) -> Result<u64> {
    let strays = sqlx::query_scalar!(
        r#"
        with stray as (
            -- A set operation, as joins are guessed wrong: nothing is known of how much claims hold.
            select worker_id, queue, seq, run from queue.jobs where state = 'running' and worker_id is not null
            except
            select worker_id, queue, seq, run from queue.in_flight
        ), noted as (
            insert into queue.claims as c (worker_id, queue, claim_seq, jobs, runs)
            select worker_id, queue, 0, array_agg(seq), array_agg(run) from stray group by worker_id, queue
            on conflict (worker_id, queue, claim_seq) do update
            set jobs = c.jobs || excluded.jobs, runs = c.runs || excluded.runs
        )
        select count(*) as "strays!" from stray
        "#
    )
    .fetch_one(conn)
    .await?;
    if strays > 0 {
        tracing::error!(
            jobs = strays,
            "jobs run that no claim has; they are rescued when their workers are gone"
        );
    }
    Ok(strays.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_worked_off_with_its_last_job() {
        let claim = ClaimKey { worker: Uuid::nil(), queue: "default".to_owned(), no: 7 };
        let worked_off = WorkedOff::default();
        let share = worked_off.expect(claim.clone(), 2);
        share.clone().over();
        assert!(worked_off.take().is_empty());
        share.over();
        let taken = worked_off.take();
        assert_eq!(taken, [claim]);
        assert!(worked_off.take().is_empty());
        worked_off.put_back(taken.clone());
        assert_eq!(worked_off.take(), taken);
    }
}
