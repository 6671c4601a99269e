//! The jobs that run in this process, so that a cancel, a lost lease or a shutdown finds them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::claim::mark::Start;

/// Why a run has to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// Somebody cancelled the job.
    Cancelled,
    /// The worker's grace period is over.
    ShuttingDown,
    /// The lease ran out: the job may run elsewhere already.
    LeaseLost,
}

/// Told once; the first reason counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    token: CancellationToken,
    reason: Arc<Mutex<Option<StopReason>>>,
}

impl Stop {
    fn tell(&self, reason: StopReason) {
        self.reason.lock().expect("no panic while held").get_or_insert(reason);
        self.token.cancel();
    }

    pub(crate) fn reason(&self) -> Option<StopReason> {
        *self.reason.lock().expect("no panic while held")
    }

    pub(crate) fn token(&self) -> CancellationToken {
        self.token.clone()
    }
}

#[derive(Debug)]
struct Run {
    start: Start,
    since: Instant,
    /// Whether its row says, or is about to say, that it runs.
    marked: bool,
    stop: Stop,
}

/// By job and run: a rescued job may be back in the same process under its next run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running(Arc<Mutex<HashMap<(Uuid, i64), Run>>>);

impl Running {
    pub(crate) fn insert(&self, job: Uuid, start: Start) {
        let run = Run { start, since: Instant::now(), marked: false, stop: Stop::default() };
        self.0.lock().expect("no panic while held").insert((job, start.run), run);
    }

    pub(crate) fn get(&self, job: Uuid, run: i64) -> Stop {
        let runs = self.0.lock().expect("no panic while held");
        runs.get(&(job, run)).map(|run| run.stop.clone()).unwrap_or_default()
    }

    /// At most `most` of those that have run for `after` and are to be marked, in order of their numbers. They count as marked from now on.
    pub(crate) fn to_mark(&self, after: Duration, most: usize) -> Vec<Start> {
        let mut runs = self.0.lock().expect("no panic while held");
        let due = runs.values_mut().filter(|run| !run.marked && run.since.elapsed() >= after).take(most);
        let mut starts: Vec<Start> = due
            .map(|run| {
                run.marked = true;
                run.start
            })
            .collect();
        starts.sort_unstable_by_key(|start| start.seq);
        starts
    }

    /// Those of `starts` with these numbers could not be marked.
    pub(crate) fn not_marked(&self, seqs: impl Fn(i64) -> bool) {
        let mut runs = self.0.lock().expect("no panic while held");
        for run in runs.values_mut().filter(|run| seqs(run.start.seq)) {
            run.marked = false;
        }
    }

    pub(crate) fn remove(&self, job: Uuid, run: i64) {
        self.0.lock().expect("no panic while held").remove(&(job, run));
    }

    /// Whether anything runs that `worker` has claimed.
    pub(crate) fn has_runs_of(&self, worker: Uuid) -> bool {
        self.0.lock().expect("no panic while held").values().any(|run| run.start.worker == worker)
    }

    pub(crate) fn stop(&self, job: Uuid, reason: StopReason) {
        for ((id, _), run) in self.0.lock().expect("no panic while held").iter() {
            if *id == job {
                run.stop.tell(reason);
            }
        }
    }

    pub(crate) fn stop_all(&self, reason: StopReason) {
        for run in self.0.lock().expect("no panic while held").values() {
            run.stop.tell(reason);
        }
    }
}
