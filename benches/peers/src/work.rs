//! The job of the measurements, the same for everyone, and what is noted of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

/// Takes its time and does nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) takes_ms: u64,
    /// For those who wait for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) n: Option<u32>,
}

/// When a handler began and ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ran {
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
}

static RAN: AtomicU64 = AtomicU64::new(0);
static FIRST: OnceLock<Duration> = OnceLock::new();
static SEEN: LazyLock<Mutex<HashMap<u32, Ran>>> = LazyLock::new(Mutex::default);

impl Work {
    /// `count` that are not told apart.
    pub(crate) fn many(count: usize) -> Vec<Self> {
        vec![Self::default(); count]
    }

    /// What each peer's handler does.
    pub(crate) async fn run(self) {
        let begun = Instant::now();
        FIRST.get_or_init(now);
        if self.takes_ms > 0 {
            tokio::time::sleep(Duration::from_millis(self.takes_ms)).await;
        }
        if let Some(n) = self.n {
            let ran = Ran { begun, ended: Instant::now() };
            SEEN.lock().expect("no panic while held").entry(n).or_insert(ran);
        }
        RAN.fetch_add(1, Ordering::Relaxed);
    }
}

/// Handlers that have run in this process.
pub(crate) fn ran() -> u64 {
    RAN.load(Ordering::Relaxed)
}

/// When the first of them began, on the clock of this machine.
pub(crate) fn first() -> Option<Duration> {
    FIRST.get().copied()
}

/// Those with a number, by it.
pub(crate) fn seen() -> HashMap<u32, Ran> {
    SEEN.lock().expect("no panic while held").clone()
}

/// The clock that processes of this machine share.
#[expect(clippy::disallowed_methods, reason = "times of processes of this machine are compared")]
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
