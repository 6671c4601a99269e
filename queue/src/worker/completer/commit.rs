//! How the completer commits one group of outcomes, and what it does when that fails.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::Connection;
use tokio::time::timeout;
use uuid::Uuid;

use super::{Completer, Ended};
use crate::claim::guard;
use crate::database::deadline::{AdaptiveDeadline, within};
use crate::database::history;
use crate::database::sticky::StickyConnection;
use crate::error::{Fault, QueueError, Result};
use crate::finish::{Finish, Outcome, finish};
use crate::worker::lease;

/// How long a transaction may usually take; see [`AdaptiveDeadline`].
const COMMIT_DEADLINE: Duration = Duration::from_secs(10);
/// Where this process or its connection dies in the middle of the transaction, others must get at
/// the rows soon. The transaction is never idle for long by itself.
const BEGIN: &str = "begin; set local idle_in_transaction_session_timeout = '5s'";
/// How often a whole group is tried that Postgres refuses for an unknown reason.
const MAX_GROUP_ATTEMPTS: u32 = 2;
/// How often a group is tried once the worker closes.
const MAX_CLOSING_ATTEMPTS: u32 = 5;
/// The pause between two attempts with a group.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);
/// The pause between two attempts with an outcome that Postgres refuses.
const REFUSED_RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// The error code of a job whose outcome Postgres has refused.
const UNSTORABLE: &str = "unstorable_outcome";

impl Completer {
    /// Tries until the group is written, and returns the outcomes that Postgres refuses. A database
    /// that is away is waited for while the worker runs; once it closes, its lease ends, and the
    /// jobs are rescued.
    pub(super) async fn commit(&self, sticky: &mut StickyConnection, mut group: Vec<Ended>) -> Vec<Ended> {
        let mut deadline = AdaptiveDeadline::new(COMMIT_DEADLINE);
        for attempt in 1_u32.. {
            let written = self.try_commit(sticky, &group, deadline.limit()).await;
            deadline.adapt(&written);
            let Err(error) = written else { return Vec::new() };
            if error.is_worker_of_lost_history() {
                self.drop_lost(sticky, &mut group).await;
            } else if error.history_doubt().is_some() {
                if let Err(error) = history::recover(sticky.pool(), &error).await {
                    pause_before_retry(&error, group.len()).await;
                }
            } else if self.stop.is_cancelled() && attempt > MAX_CLOSING_ATTEMPTS {
                tracing::error!(%error, jobs = group.len(), "could not write outcomes; the jobs will be rescued");
                return Vec::new();
            } else {
                match (error.fault(), group.as_slice()) {
                    // Most likely a single outcome is the cause.
                    (Fault::InvalidValue, [_, _, ..]) => return self.commit_singly(sticky, group).await,
                    (Fault::Unknown, [_, _, ..]) if attempt >= MAX_GROUP_ATTEMPTS => {
                        return self.commit_singly(sticky, group).await;
                    }
                    (fault, [single])
                        if fault == Fault::Unknown
                            || fault == Fault::InvalidValue && is_unstorable(single) =>
                    {
                        tracing::error!(
                            job.id = %single.finish.job, %error,
                            "Postgres does not take this outcome for now; it is tried again"
                        );
                        return group;
                    }
                    (Fault::InvalidValue, [single]) => group = vec![unstorable(single, &error)],
                    _ => pause_before_retry(&error, group.len()).await,
                }
            }
        }
        group
    }

    /// Commits outcomes one by one, so that one that Postgres refuses does not hold the others up.
    async fn commit_singly(&self, sticky: &mut StickyConnection, group: Vec<Ended>) -> Vec<Ended> {
        let mut refused = Vec::new();
        for single in group {
            refused.extend(Box::pin(self.commit(sticky, vec![single])).await);
        }
        refused
    }

    /// Tries from time to time to write an outcome that Postgres refuses.
    pub(super) async fn retry_refused(self, mut outcome: Ended) {
        let mut sticky = StickyConnection::new(self.pool.clone());
        loop {
            let _ = timeout(REFUSED_RETRY_INTERVAL, self.stop.cancelled()).await;
            let Some(still_refused) = self.commit(&mut sticky, vec![outcome]).await.pop() else { return };
            if self.stop.is_cancelled() {
                return tracing::error!(
                    job.id = %still_refused.finish.job,
                    "could not write this outcome; the job will be rescued"
                );
            }
            outcome = still_refused;
        }
    }

    /// Drops the outcomes of runs that began in a history which the database has lost.
    async fn drop_lost(&self, sticky: &mut StickyConnection, group: &mut Vec<Ended>) {
        match workers_in_history(sticky, group).await {
            Ok(known) => {
                let all = group.len();
                group.retain(|ended| known.contains(&ended.finish.start.worker));
                tracing::warn!(
                    jobs = all - group.len(),
                    "outcomes of a history that the database has lost are dropped; the jobs run again"
                );
                self.lease_waker.notify_one();
            }
            Err(error) => pause_before_retry(&error, group.len()).await,
        }
    }

    /// One transaction: writes the group, and deletes the rows of acknowledged claims.
    async fn try_commit(
        &self,
        sticky: &mut StickyConnection,
        group: &[Ended],
        limit: Duration,
    ) -> Result<()> {
        let claims = self.acknowledged.take();
        let applied = within(limit, async {
            let mut tx = sticky.conn().await?.begin_with(BEGIN).await?;
            guard::delete(&mut tx, &claims).await?;
            let applied = finish(&mut tx, group.iter().map(|ended| ended.finish.clone()).collect()).await?;
            tx.commit().await?;
            Ok(applied)
        })
        .await;
        let applied = applied.inspect_err(|_: &QueueError| {
            sticky.close();
            self.acknowledged.put_back(claims);
        })?;
        for Ended { finish: Finish { job, start, .. }, guard } in group {
            guard.acknowledge();
            if !applied.contains(job) {
                self.meter.add_stale_finish();
                tracing::warn!(
                    job.id = %job, start.run,
                    "stale finish: the job is another run's or final; nothing changed"
                );
            }
        }
        Ok(())
    }
}

/// The workers of `group` that are registered in the current history of the database.
async fn workers_in_history(sticky: &mut StickyConnection, group: &[Ended]) -> Result<HashSet<Uuid>> {
    let workers: HashSet<Uuid> = group.iter().map(|ended| ended.finish.start.worker).collect();
    let workers: Vec<Uuid> = workers.into_iter().collect();
    let known =
        within(COMMIT_DEADLINE, async { lease::known_in_history(sticky.conn().await?, &workers).await });
    known.await.inspect_err(|_| sticky.close())
}

/// What is written in the place of an outcome that the database cannot hold: the job is discarded.
fn unstorable(single: &Ended, why: &QueueError) -> Ended {
    tracing::error!(job.id = %single.finish.job, error = %why, "Postgres refuses this outcome; discarding the job");
    let message = format!("its outcome could not be stored: {why}").replace('\0', "\u{fffd}");
    let outcome = Outcome::Discarded { code: UNSTORABLE.to_owned(), message };
    Ended { finish: Finish { outcome, ..single.finish.clone() }, guard: single.guard.clone() }
}

fn is_unstorable(single: &Ended) -> bool {
    matches!(&single.finish.outcome, Outcome::Discarded { code, .. } if code == UNSTORABLE)
}

async fn pause_before_retry(error: &QueueError, jobs: usize) {
    tracing::warn!(%error, jobs, "could not write outcomes; trying again");
    tokio::time::sleep(RETRY_INTERVAL).await;
}
