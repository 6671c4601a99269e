//! The completer commits the outcomes of runs in groups: whatever has gathered while the last group
//! was written.
//!
//! An outcome that comes alone is written at once. While more come, one group is written after the
//! other, with a minimum interval between them, so that few commits do the work. Where a whole
//! group gathers meanwhile, it is written in parallel to the first: otherwise a single connection
//! would limit the rate.

mod commit;

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::claim::guard::{AcknowledgedClaims, ClaimGuard};
use crate::database::sticky::StickyConnection;
use crate::finish::Finish;
use crate::telemetry::meter::Meter;

/// The most outcomes in one transaction.
const MAX_GROUP: usize = 1000;
/// From this many outcomes on, a group is written without waiting for the interval.
const LARGE_GROUP: usize = 200;
/// The shortest time between the beginnings of two transactions with small groups: what ends
/// meanwhile shares one commit. Where the last transaction took longer than half of this, the
/// interval is twice what it took, so that a busy machine gets fewer and larger groups.
const MIN_GROUP_INTERVAL: Duration = Duration::from_millis(4);
/// The longest that an outcome waits for others.
const MAX_GROUP_INTERVAL: Duration = Duration::from_millis(16);
/// The most transactions at a time.
const MAX_TRANSACTIONS: usize = 2;
/// The most bytes of outputs in one transaction, unless a single output has more. Postgres closes
/// the connection on a message of a gigabyte, and trying that again would never end.
const MAX_GROUP_BYTES: usize = 16_000_000;

/// The outcome of a run on its way into the database.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) finish: Finish,
    pub(super) guard: ClaimGuard,
}

/// What the completer needs of its worker.
#[derive(Debug, Clone)]
pub(super) struct Completer {
    pub(super) pool: PgPool,
    /// Acknowledged claims, whose rows are deleted together with writing the outcomes.
    pub(super) acknowledged: AcknowledgedClaims,
    pub(super) meter: Meter,
    /// Woken when the database has refused the worker's runs as those of a lost history.
    pub(super) lease_waker: Arc<Notify>,
    /// Cancelled when the worker closes.
    pub(super) stop: CancellationToken,
}

impl Completer {
    /// Runs until `stop` is cancelled, and then until everything that was handed over is written.
    /// Calls `on_group_written` after each group.
    ///
    /// While the worker runs, an outcome that cannot be written is tried again. After that the
    /// worker's lease ends, and the job is rescued.
    pub(super) async fn run(self, mut handed_over: mpsc::Receiver<Ended>, on_group_written: impl Fn()) {
        let mut groups = JoinSet::new();
        let mut refused = JoinSet::new();
        let mut idle = Vec::new();
        let mut gathered = Vec::with_capacity(MAX_GROUP);
        let mut closed = false;
        // The first group is written at once.
        let mut begun = Instant::now().checked_sub(MIN_GROUP_INTERVAL).unwrap_or_else(Instant::now);
        let mut interval = MIN_GROUP_INTERVAL;
        while !closed || !groups.is_empty() || !gathered.is_empty() || !refused.is_empty() {
            let is_whole = gathered.len() == MAX_GROUP && groups.len() < MAX_TRANSACTIONS;
            let is_urgent = closed || gathered.len() >= LARGE_GROUP;
            let early = if is_urgent { Duration::ZERO } else { interval.saturating_sub(begun.elapsed()) };
            if is_whole || groups.is_empty() && early.is_zero() && !gathered.is_empty() {
                begun = Instant::now();
                let group = std::mem::replace(&mut gathered, Vec::with_capacity(MAX_GROUP));
                let sticky = idle.pop().unwrap_or_else(|| StickyConnection::new(self.pool.clone()));
                groups.spawn(self.clone().write(sticky, group));
            }
            if groups.is_empty() {
                idle.clear();
            }
            let more = MAX_GROUP - gathered.len();
            tokio::select! {
                biased;
                count = handed_over.recv_many(&mut gathered, more), if !closed && more > 0 => closed = count == 0,
                Some(written) = groups.join_next() => {
                    let (sticky, rest) = written.expect("writing does not panic");
                    idle.push(sticky);
                    for outcome in rest {
                        refused.spawn(self.clone().retry_refused(outcome));
                    }
                    interval = (begun.elapsed() * 2).clamp(MIN_GROUP_INTERVAL, MAX_GROUP_INTERVAL);
                    on_group_written();
                }
                Some(_) = refused.join_next() => on_group_written(),
                () = tokio::time::sleep(early), if groups.is_empty() && !gathered.is_empty() => {}
                () = self.stop.cancelled(), if !handed_over.is_closed() => handed_over.close(),
            }
        }
    }

    /// Writes outcomes, and returns those that Postgres refuses for now, so that no others wait for
    /// them.
    async fn write(
        self,
        mut sticky: StickyConnection,
        outcomes: Vec<Ended>,
    ) -> (StickyConnection, Vec<Ended>) {
        let mut refused = Vec::new();
        for group in split_by_bytes(outcomes) {
            refused.extend(self.commit(&mut sticky, group).await);
        }
        (sticky, refused)
    }
}

/// Splits outcomes, in their order, into groups of at most [`MAX_GROUP_BYTES`].
fn split_by_bytes(all: Vec<Ended>) -> Vec<Vec<Ended>> {
    let mut groups: Vec<Vec<Ended>> = Vec::new();
    let mut bytes = usize::MAX;
    for ended in all {
        let more = ended.finish.outcome.output_bytes();
        bytes = bytes.saturating_add(more);
        match groups.last_mut() {
            Some(group) if bytes <= MAX_GROUP_BYTES => group.push(ended),
            _ => {
                groups.push(vec![ended]);
                bytes = more;
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::claim::guard::ClaimKey;
    use crate::claim::persist_running::RunStart;
    use crate::finish::Outcome;

    fn ended(run: i64, bytes: usize) -> Ended {
        let output = json!({ "text": "x".repeat(bytes) });
        let outcome = Outcome::Completed { output, next: vec![] };
        let start = RunStart { seq: 0, run, attempt: 1, worker: Uuid::nil(), at: DateTime::default() };
        let finish = Finish { job: Uuid::nil(), start, outcome };
        let claim = ClaimKey { worker: Uuid::nil(), queue: String::new(), claim_seq: 1 };
        Ended { finish, guard: AcknowledgedClaims::default().guard(claim, 1) }
    }

    #[test]
    fn groups_keep_their_order_and_are_bounded() {
        let half = MAX_GROUP_BYTES / 2 - 100;
        let all = [half, half, 1, half, 2 * MAX_GROUP_BYTES, 1]
            .into_iter()
            .zip(0..)
            .map(|(bytes, run)| ended(run, bytes));
        let groups = split_by_bytes(all.collect());
        let runs: Vec<Vec<i64>> =
            groups.iter().map(|group| group.iter().map(|it| it.finish.start.run).collect()).collect();
        assert_eq!(runs, [vec![0, 1, 2], vec![3], vec![4], vec![5]]);
        assert!(split_by_bytes(Vec::new()).is_empty());
    }
}
