//! The wake-ups inside one process: each has a name, and tasks wait for it by that name.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::worker::notify::{DRAIN_CHANNEL, LEADER_CHANNEL};

/// The name of the lease's wake-up, which is only sent inside the process.
const LEASE: &str = "weirgate_lease";

/// One wake-up for each queue, one for the election of a leader, one for a drain, and one for the
/// lease.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wakers(Arc<Mutex<HashMap<String, Arc<Notify>>>>);

impl Wakers {
    /// Woken when there may be jobs to claim in `queue`.
    pub(crate) fn for_queue(&self, queue: &str) -> Arc<Notify> {
        self.0.lock().entry(queue.to_owned()).or_default().clone()
    }

    /// Woken when the leader has stepped down.
    pub(crate) fn for_election(&self) -> Arc<Notify> {
        self.for_queue(LEADER_CHANNEL)
    }

    /// Woken when this worker's lease may belong to a lost history of the database.
    pub(crate) fn for_lease(&self) -> Arc<Notify> {
        self.for_queue(LEASE)
    }

    /// Woken when a worker was asked to drain, perhaps this one.
    pub(crate) fn for_drain(&self) -> Arc<Notify> {
        self.for_queue(DRAIN_CHANNEL)
    }

    pub(super) fn wake_all(&self) {
        for notify in self.0.lock().values() {
            notify.notify_one();
        }
    }
}
