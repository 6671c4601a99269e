//! The jobs that run in this process, so that a cancel, a lost lease or a shutdown can stop them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::claim::persist_running::RunStart;

/// Why a run has to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// Somebody cancelled the job.
    Cancelled,
    /// The worker's grace period is over.
    ShuttingDown,
    /// The lease has run out, and the job may already run elsewhere.
    LeaseLost,
}

/// How a run is told to stop. It is told once: the first reason counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    token: CancellationToken,
    reason: Arc<Mutex<Option<StopReason>>>,
}

impl Stop {
    fn request(&self, reason: StopReason) {
        self.reason.lock().get_or_insert(reason);
        self.token.cancel();
    }

    /// Why the run has to stop, if it has to.
    pub(crate) fn reason(&self) -> Option<StopReason> {
        *self.reason.lock()
    }

    /// Cancelled when the run has to stop.
    pub(crate) fn token(&self) -> CancellationToken {
        self.token.clone()
    }
}

#[derive(Debug)]
struct Run {
    start: RunStart,
    since: Instant,
    /// Whether its job's row says, or is about to say, that it runs.
    persisted: bool,
    stop: Stop,
}

/// The runs of this process, by job and run: a rescued job may be back in the same process under
/// its next run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running(Arc<Mutex<HashMap<(Uuid, i64), Run>>>);

impl Running {
    pub(crate) fn insert(&self, job: Uuid, start: RunStart) {
        let run = Run { start, since: Instant::now(), persisted: false, stop: Stop::default() };
        self.0.lock().insert((job, start.run), run);
    }

    /// How the run `run` of `job` is told to stop.
    pub(crate) fn stop_of(&self, job: Uuid, run: i64) -> Stop {
        let runs = self.0.lock();
        runs.get(&(job, run)).map(|run| run.stop.clone()).unwrap_or_default()
    }

    /// At most `max` runs that have lasted for `after` and are not persisted yet, sorted by the
    /// sequence numbers of their jobs. They count as persisted from now on.
    pub(crate) fn take_unpersisted(&self, after: Duration, max: usize) -> Vec<RunStart> {
        let mut runs = self.0.lock();
        let due = runs.values_mut().filter(|run| !run.persisted && run.since.elapsed() >= after).take(max);
        let mut starts: Vec<RunStart> = due
            .map(|run| {
                run.persisted = true;
                run.start
            })
            .collect();
        starts.sort_unstable_by_key(|start| start.seq);
        starts
    }

    /// The runs whose jobs have these sequence numbers could not be persisted and are due again.
    pub(crate) fn put_back_unpersisted(&self, is_put_back: impl Fn(i64) -> bool) {
        let mut runs = self.0.lock();
        for run in runs.values_mut().filter(|run| is_put_back(run.start.seq)) {
            run.persisted = false;
        }
    }

    pub(crate) fn remove(&self, job: Uuid, run: i64) {
        self.0.lock().remove(&(job, run));
    }

    /// Whether anything still runs that `worker` has claimed.
    pub(crate) fn has_runs_of(&self, worker: Uuid) -> bool {
        self.0.lock().values().any(|run| run.start.worker == worker)
    }

    /// Tells the runs of `job` to stop.
    pub(crate) fn stop(&self, job: Uuid, reason: StopReason) {
        for ((id, _), run) in self.0.lock().iter() {
            if *id == job {
                run.stop.request(reason);
            }
        }
    }

    /// Tells all runs to stop.
    pub(crate) fn stop_all(&self, reason: StopReason) {
        for run in self.0.lock().values() {
            run.stop.request(reason);
        }
    }
}
