//! The jobs that run in this process, so that a cancel, a lost lease or a shutdown finds them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

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

/// By job and run: a rescued job may be back in the same process under its next run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running(Arc<Mutex<HashMap<(Uuid, i64), Stop>>>);

impl Running {
    pub(crate) fn insert(&self, job: Uuid, run: i64) {
        self.0.lock().expect("no panic while held").insert((job, run), Stop::default());
    }

    pub(crate) fn get(&self, job: Uuid, run: i64) -> Stop {
        self.0.lock().expect("no panic while held").get(&(job, run)).cloned().unwrap_or_default()
    }

    pub(crate) fn remove(&self, job: Uuid, run: i64) {
        self.0.lock().expect("no panic while held").remove(&(job, run));
    }

    pub(crate) fn stop(&self, job: Uuid, reason: StopReason) {
        for ((id, _), stop) in self.0.lock().expect("no panic while held").iter() {
            if *id == job {
                stop.tell(reason);
            }
        }
    }

    pub(crate) fn stop_all(&self, reason: StopReason) {
        for stop in self.0.lock().expect("no panic while held").values() {
            stop.tell(reason);
        }
    }
}
