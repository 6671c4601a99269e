//! Commits outcomes in groups: whatever has gathered while the last group was written.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{Connection, PgPool};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::error::{QueueError, Result};
use crate::finish::{Finish, Outcome, finish};
use crate::held::Held;
use crate::history;
use crate::holdings::{Share, WorkedOff, forget};
use crate::lease;
use crate::meter::Meter;
use crate::patience::{Patience, within};

/// Most outcomes in one transaction.
const GROUP: usize = 1000;
/// So many are worth a transaction at once.
const WORTH: usize = 200;
/// Between the beginnings of two transactions of fewer: what ends meanwhile shares one commit. Twice as long as the last one took,
/// where that is longer, so that a machine that is busy gets fewer and larger ones.
const PACE: Duration = Duration::from_millis(4);
/// No outcome waits longer for others.
const MOST_PACE: Duration = Duration::from_millis(16);
/// Most transactions at once.
const AT_ONCE: usize = 2;
/// Most bytes of outputs in one transaction, unless one alone has more: Postgres hangs up on a message of a gigabyte,
/// and to try that again would never end.
const GROUP_BYTES: usize = 16_000_000;
/// How long a transaction usually takes at most; see [`Patience`].
const ANSWER: Duration = Duration::from_secs(10);
/// Where this process or its connection dies in the middle, others must get at the rows soon: it never does nothing in between.
const BEGIN: &str = "begin; set local idle_in_transaction_session_timeout = '5s'";
/// The code of a job whose outcome Postgres refused.
const UNSTORABLE: &str = "unstorable_outcome";

/// An outcome on its way into the database.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) finish: Finish,
    pub(crate) share: Share,
}

/// Runs until `stop`, then until what was handed over is written. Calls `room` after each group.
///
/// An outcome that comes alone is written at once. While more come, one group is written after the other and none too soon, so that as
/// few commits as possible do it. Where a whole group gathers meanwhile it is written beside the first: one connection alone would
/// set the pace.
pub(crate) async fn run(
    pool: PgPool,
    mut handed_over: mpsc::Receiver<Ended>,
    worked_off: WorkedOff,
    meter: Meter,
    room: impl Fn(),
    lease: Arc<Notify>,
    stop: CancellationToken,
) {
    let mut writing = JoinSet::new();
    let mut idle = Vec::new();
    let mut gathered = Vec::with_capacity(GROUP);
    let mut closed = false;
    // The first one is written at once.
    let mut begun = Instant::now().checked_sub(PACE).unwrap_or_else(Instant::now);
    let mut pace = PACE;
    while !closed || !writing.is_empty() || !gathered.is_empty() {
        let whole = gathered.len() == GROUP && writing.len() < AT_ONCE;
        let now = closed || gathered.len() >= WORTH;
        let early = if now { Duration::ZERO } else { pace.saturating_sub(begun.elapsed()) };
        if whole || writing.is_empty() && early.is_zero() && !gathered.is_empty() {
            begun = Instant::now();
            let group = std::mem::replace(&mut gathered, Vec::with_capacity(GROUP));
            let held = idle.pop().unwrap_or_else(|| Held::new(pool.clone()));
            writing.spawn(write_all(
                held,
                worked_off.clone(),
                meter.clone(),
                lease.clone(),
                group,
                stop.clone(),
            ));
        }
        if writing.is_empty() {
            idle.clear();
        }
        let more = GROUP - gathered.len();
        tokio::select! {
            biased;
            count = handed_over.recv_many(&mut gathered, more), if !closed && more > 0 => closed = count == 0,
            Some(written) = writing.join_next() => {
                idle.push(written.expect("writing does not panic"));
                pace = (begun.elapsed() * 2).clamp(PACE, MOST_PACE);
                // Lanes that were full have room again.
                room();
            }
            () = tokio::time::sleep(early), if writing.is_empty() && !gathered.is_empty() => {}
            () = stop.cancelled(), if !handed_over.is_closed() => handed_over.close(),
        }
    }
}

async fn write_all(
    mut held: Held,
    worked_off: WorkedOff,
    meter: Meter,
    lease: Arc<Notify>,
    outcomes: Vec<Ended>,
    stop: CancellationToken,
) -> Held {
    for group in by_size(outcomes) {
        commit(&mut held, &worked_off, &meter, &lease, group, &stop).await;
    }
    held
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

/// Tries until the group is written. While the worker runs, a database that is away is waited for; when it closes,
/// the leases' end takes over.
async fn commit(
    held: &mut Held,
    worked_off: &WorkedOff,
    meter: &Meter,
    lease: &Notify,
    mut group: Vec<Ended>,
    stop: &CancellationToken,
) {
    let mut patience = Patience::new(ANSWER);
    for attempt in 1_u32.. {
        let written = write(held, worked_off, meter, &group, patience.limit()).await;
        patience.learn(&written);
        match written {
            Ok(()) => return,
            Err(error) if error.is_worker_of_lost_history() => match of_this_history(held, &group).await {
                Ok(known) => {
                    let lost =
                        group.iter().filter(|ended| !known.contains(&ended.finish.start.worker)).count();
                    tracing::warn!(
                        jobs = lost,
                        "outcomes of a history that the database has lost are dropped; the jobs run again"
                    );
                    group.retain(|ended| known.contains(&ended.finish.start.worker));
                    lease.notify_one();
                }
                Err(error) => again(&error, group.len()).await,
            },
            Err(error) if error.history().is_some() => {
                if let Err(error) = history::recover(held.pool(), &error).await {
                    again(&error, group.len()).await;
                }
            }
            Err(QueueError::Database(error)) if is_passing(&error) => {
                if stop.is_cancelled() && attempt > 5 {
                    tracing::error!(%error, jobs = group.len(), "could not write outcomes; the jobs will be rescued");
                    return;
                }
                again(&error.into(), group.len()).await;
            }
            Err(error) => return commit_singly(held, worked_off, meter, lease, group, &error, stop).await,
        }
    }
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

/// One outcome that Postgres refuses must not hold the others up.
async fn commit_singly(
    held: &mut Held,
    worked_off: &WorkedOff,
    meter: &Meter,
    lease: &Notify,
    group: Vec<Ended>,
    why: &QueueError,
    stop: &CancellationToken,
) {
    if let [Ended { finish: single, share }] = group.as_slice() {
        if matches!(&single.outcome, Outcome::Discarded { code, .. } if code == UNSTORABLE) {
            tracing::error!(job.id = %single.job, error = %why, "could not discard it either; its lease's end will");
            return;
        }
        tracing::error!(job.id = %single.job, error = %why, "Postgres refuses this outcome; discarding the job");
        let message = format!("its outcome could not be stored: {why}").replace('\0', "\u{fffd}");
        let outcome = Outcome::Discarded { code: UNSTORABLE.to_owned(), message };
        let discard = Ended { finish: Finish { outcome, ..single.clone() }, share: share.clone() };
        return Box::pin(commit(held, worked_off, meter, lease, vec![discard], stop)).await;
    }
    for single in group {
        Box::pin(commit(held, worked_off, meter, lease, vec![single], stop)).await;
    }
}

async fn write(
    held: &mut Held,
    worked_off: &WorkedOff,
    meter: &Meter,
    group: &[Ended],
    limit: Duration,
) -> Result<()> {
    let claims = worked_off.take();
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
        worked_off.put_back(claims);
    })?;
    for Ended { finish: Finish { job, start, .. }, share } in group {
        share.over();
        if !applied.contains(job) {
            meter.add_stale_finish();
            tracing::warn!(job.id = %job, start.run, "stale finish: the job is another run's or final; nothing changed");
        }
    }
    Ok(())
}

/// Whether trying again may help: the connection, a shutdown, a server that takes no writes for now, a deadlock, a serialization failure,
/// out of resources.
fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(e) => e.code().is_none_or(|code| {
            ["08", "25", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class))
        }),
        _ => !matches!(
            error,
            sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. }
        ),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;
    use crate::holdings::ClaimKey;
    use crate::mark::Start;

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
