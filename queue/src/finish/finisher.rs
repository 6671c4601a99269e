//! Commits outcomes in groups: whatever has gathered while the last group was written.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{Connection, PgPool};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::claim::holdings::{Share, WorkedOff, forget};
use crate::database::held::Held;
use crate::database::history;
use crate::database::patience::{Patience, within};
use crate::error::{Fault, QueueError, Result};
use crate::finish::{Finish, Outcome, finish};
use crate::telemetry::meter::Meter;
use crate::worker::lease;

/// Most outcomes in one transaction.
const GROUP: usize = 1000;
/// So many are worth a transaction at once.
const WORTH: usize = 200;
/// Between the beginnings of two transactions of fewer: what ends meanwhile shares one commit.
/// Twice as long as the last one took, where that is longer, so that a machine that is busy gets
/// fewer and larger ones.
const PACE: Duration = Duration::from_millis(4);
/// No outcome waits longer for others.
const MOST_PACE: Duration = Duration::from_millis(16);
/// Most transactions at once.
const AT_ONCE: usize = 2;
/// Most bytes of outputs in one transaction, unless one alone has more: Postgres hangs up on a
/// message of a gigabyte, and to try that again would never end.
const GROUP_BYTES: usize = 16_000_000;
/// How long a transaction usually takes at most; see [`Patience`].
const ANSWER: Duration = Duration::from_secs(10);
/// Where this process or its connection dies in the middle, others must get at the rows soon: it
/// never does nothing in between.
const BEGIN: &str = "begin; set local idle_in_transaction_session_timeout = '5s'";
/// So often a group of outcomes is tried that Postgres does not take, for a reason that nobody
/// knows to pass.
const ATTEMPTS: u32 = 2;
/// So often an outcome is tried once the worker is to end.
const LAST_ATTEMPTS: u32 = 5;
/// Between two attempts with an outcome that Postgres does not take.
const SELDOM: Duration = Duration::from_secs(5);
/// The code of a job whose outcome Postgres refused.
const UNSTORABLE: &str = "unstorable_outcome";

/// An outcome on its way into the database.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) finish: Finish,
    pub(crate) share: Share,
}

/// What each transaction needs to know of its worker.
#[derive(Debug, Clone)]
pub(crate) struct Writing {
    pub(crate) worked_off: WorkedOff,
    pub(crate) meter: Meter,
    pub(crate) lease: Arc<Notify>,
    pub(crate) stop: CancellationToken,
}

/// Runs until `stop`, then until what was handed over is written. Calls `room` after each group.
///
/// An outcome is written, or tried again for as long as its worker runs; after that the lease's end
/// hands its job to another one.
///
/// An outcome that comes alone is written at once. While more come, one group is written after the
/// other and none too soon, so that as few commits as possible do it. Where a whole group gathers
/// meanwhile it is written beside the first: one connection alone would set the pace.
pub(crate) async fn run(
    pool: PgPool,
    mut handed_over: mpsc::Receiver<Ended>,
    room: impl Fn(),
    writing: Writing,
) {
    let mut groups = JoinSet::new();
    let mut insisting = JoinSet::new();
    let mut idle = Vec::new();
    let mut gathered = Vec::with_capacity(GROUP);
    let mut closed = false;
    // The first one is written at once.
    let mut begun = Instant::now().checked_sub(PACE).unwrap_or_else(Instant::now);
    let mut pace = PACE;
    while !closed || !groups.is_empty() || !gathered.is_empty() || !insisting.is_empty() {
        let whole = gathered.len() == GROUP && groups.len() < AT_ONCE;
        let now = closed || gathered.len() >= WORTH;
        let early = if now { Duration::ZERO } else { pace.saturating_sub(begun.elapsed()) };
        if whole || groups.is_empty() && early.is_zero() && !gathered.is_empty() {
            begun = Instant::now();
            let group = std::mem::replace(&mut gathered, Vec::with_capacity(GROUP));
            let held = idle.pop().unwrap_or_else(|| Held::new(pool.clone()));
            groups.spawn(write_all(held, writing.clone(), group));
        }
        if groups.is_empty() {
            idle.clear();
        }
        let more = GROUP - gathered.len();
        tokio::select! {
            biased;
            count = handed_over.recv_many(&mut gathered, more), if !closed && more > 0 => closed = count == 0,
            Some(written) = groups.join_next() => {
                let (held, refused) = written.expect("writing does not panic");
                idle.push(held);
                for outcome in refused {
                    insisting.spawn(insist(Held::new(pool.clone()), writing.clone(), outcome));
                }
                pace = (begun.elapsed() * 2).clamp(PACE, MOST_PACE);
                // Lanes that were full have room again.
                room();
            }
            Some(_) = insisting.join_next() => room(),
            () = tokio::time::sleep(early), if groups.is_empty() && !gathered.is_empty() => {}
            () = writing.stop.cancelled(), if !handed_over.is_closed() => handed_over.close(),
        }
    }
}

/// Returns what Postgres does not take now: others need not wait for that.
async fn write_all(mut held: Held, writing: Writing, outcomes: Vec<Ended>) -> (Held, Vec<Ended>) {
    let mut refused = Vec::new();
    for group in by_size(outcomes) {
        refused.extend(commit(&mut held, &writing, group).await);
    }
    (held, refused)
}

/// Tries from time to time to write an outcome that Postgres does not take.
async fn insist(mut held: Held, writing: Writing, mut outcome: Ended) {
    loop {
        let _ = timeout(SELDOM, writing.stop.cancelled()).await;
        let Some(still) = commit(&mut held, &writing, vec![outcome]).await.pop() else { return };
        if writing.stop.is_cancelled() {
            return tracing::error!(job.id = %still.finish.job, "could not write this outcome; the job will be rescued");
        }
        outcome = still;
    }
}

/// In their order, in groups of no more than [`GROUP_BYTES`].
fn by_size(all: Vec<Ended>) -> Vec<Vec<Ended>> {
    let mut groups: Vec<Vec<Ended>> = Vec::new();
    let mut bytes = usize::MAX;
    for ended in all {
        let more = ended.finish.outcome.output_bytes();
        bytes = bytes.saturating_add(more);
        match groups.last_mut() {
            Some(group) if bytes <= GROUP_BYTES => group.push(ended),
            _ => {
                groups.push(vec![ended]);
                bytes = more;
            }
        }
    }
    groups
}

/// Tries until the group is written, and returns what Postgres does not take. While the worker
/// runs, a database that is away is waited for; when it closes, the leases' end takes over.
async fn commit(held: &mut Held, writing: &Writing, mut group: Vec<Ended>) -> Vec<Ended> {
    let mut patience = Patience::new(ANSWER);
    for attempt in 1_u32.. {
        let written = write(held, writing, &group, patience.limit()).await;
        patience.learn(&written);
        let Err(error) = written else { return Vec::new() };
        if error.is_worker_of_lost_history() {
            match of_this_history(held, &group).await {
                Ok(known) => {
                    let lost =
                        group.iter().filter(|ended| !known.contains(&ended.finish.start.worker)).count();
                    tracing::warn!(
                        jobs = lost,
                        "outcomes of a history that the database has lost are dropped; the jobs run again"
                    );
                    group.retain(|ended| known.contains(&ended.finish.start.worker));
                    writing.lease.notify_one();
                }
                Err(error) => again(&error, group.len()).await,
            }
        } else if error.history().is_some() {
            if let Err(error) = history::recover(held.pool(), &error).await {
                again(&error, group.len()).await;
            }
        } else if writing.stop.is_cancelled() && attempt > LAST_ATTEMPTS {
            tracing::error!(%error, jobs = group.len(), "could not write outcomes; the jobs will be rescued");
            return Vec::new();
        } else {
            match (error.fault(), group.as_slice()) {
                // Most likely one of them alone is in the way.
                (Fault::Value, [_, _, ..]) => return commit_singly(held, writing, group).await,
                (Fault::Unknown, [_, _, ..]) if attempt >= ATTEMPTS => {
                    return commit_singly(held, writing, group).await;
                }
                (fault, [single])
                    if fault == Fault::Unknown || fault == Fault::Value && is_unstorable(single) =>
                {
                    tracing::error!(job.id = %single.finish.job, %error, "Postgres does not take this outcome now; it is tried again");
                    return group;
                }
                (Fault::Value, [single]) => group = vec![unstorable(single, &error)],
                _ => again(&error, group.len()).await,
            }
        }
    }
    group
}

/// One outcome that Postgres does not take must not hold the others up.
async fn commit_singly(held: &mut Held, writing: &Writing, group: Vec<Ended>) -> Vec<Ended> {
    let mut refused = Vec::new();
    for single in group {
        refused.extend(Box::pin(commit(held, writing, vec![single])).await);
    }
    refused
}

/// What is written in the place of an outcome that the database can't hold.
fn unstorable(single: &Ended, why: &QueueError) -> Ended {
    tracing::error!(job.id = %single.finish.job, error = %why, "Postgres refuses this outcome; discarding the job");
    let message = format!("its outcome could not be stored: {why}").replace('\0', "\u{fffd}");
    let outcome = Outcome::Discarded { code: UNSTORABLE.to_owned(), message };
    Ended { finish: Finish { outcome, ..single.finish.clone() }, share: single.share.clone() }
}

fn is_unstorable(single: &Ended) -> bool {
    matches!(&single.finish.outcome, Outcome::Discarded { code, .. } if code == UNSTORABLE)
}

async fn again(error: &QueueError, jobs: usize) {
    tracing::warn!(%error, jobs, "could not write outcomes; trying again");
    tokio::time::sleep(Duration::from_millis(200)).await;
}

/// The workers whose runs this database knows of.
async fn of_this_history(held: &mut Held, group: &[Ended]) -> Result<HashSet<Uuid>> {
    let workers: HashSet<Uuid> = group.iter().map(|ended| ended.finish.start.worker).collect();
    let workers: Vec<Uuid> = workers.into_iter().collect();
    let known = within(ANSWER, async { lease::known(held.conn().await?, &workers).await }).await;
    known.inspect_err(|_| held.close())
}

async fn write(held: &mut Held, writing: &Writing, group: &[Ended], limit: Duration) -> Result<()> {
    let claims = writing.worked_off.take();
    let applied = within(limit, async {
        let mut tx = held.conn().await?.begin_with(BEGIN).await?;
        forget(&mut tx, &claims).await?;
        let applied = finish(&mut tx, group.iter().map(|ended| ended.finish.clone()).collect()).await?;
        tx.commit().await?;
        Ok(applied)
    })
    .await;
    let applied = applied.inspect_err(|_: &QueueError| {
        held.close();
        writing.worked_off.put_back(claims);
    })?;
    for Ended { finish: Finish { job, start, .. }, share } in group {
        share.over();
        if !applied.contains(job) {
            writing.meter.add_stale_finish();
            tracing::warn!(job.id = %job, start.run, "stale finish: the job is another run's or final; nothing changed");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;
    use crate::claim::holdings::ClaimKey;
    use crate::claim::mark::Start;

    fn ended(run: i64, bytes: usize) -> Ended {
        let output = json!({ "text": "x".repeat(bytes) });
        let outcome = Outcome::Completed { output, next: vec![] };
        let start = Start { seq: 0, run, attempt: 1, worker: Uuid::nil(), at: DateTime::default() };
        let finish = Finish { job: Uuid::nil(), start, outcome };
        let claim = ClaimKey { worker: Uuid::nil(), queue: String::new(), no: 1 };
        Ended { finish, share: WorkedOff::default().expect(claim, 1) }
    }

    #[test]
    fn groups_keep_their_order_and_are_bounded() {
        let half = GROUP_BYTES / 2 - 100;
        let all = [half, half, 1, half, 2 * GROUP_BYTES, 1]
            .into_iter()
            .zip(0..)
            .map(|(bytes, run)| ended(run, bytes));
        let groups = by_size(all.collect());
        let runs: Vec<Vec<i64>> =
            groups.iter().map(|group| group.iter().map(|it| it.finish.start.run).collect()).collect();
        assert_eq!(runs, [vec![0, 1, 2], vec![3], vec![4], vec![5]]);
        assert!(by_size(Vec::new()).is_empty());
    }
}
