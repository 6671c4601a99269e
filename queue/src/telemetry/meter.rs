//! The counters of a worker process, by kind of job.
//!
//! The counters only grow. The engine adds to them where things happen, and the program reads them
//! at any time to show them, for instance to Prometheus. A run adds to a handful of atomics that
//! are looked up once by its kind; nothing is locked or allocated for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::finish::Outcome;
use crate::telemetry::failures::{FailureSighting, pattern};
use crate::telemetry::histogram::AtomicHistogram;

/// The counters of one kind's runs.
#[derive(Debug, Default)]
pub struct KindMeter {
    started: AtomicU64,
    ended: [AtomicU64; Outcome::NAMES.len()],
    /// The time from when a job was due until it was claimed. Jobs of backfills are left out, as
    /// they wait behind other jobs on purpose.
    pub start_latency: AtomicHistogram,
    /// How long handlers ran.
    pub run_time: AtomicHistogram,
}

impl KindMeter {
    /// The number of runs that have begun.
    pub fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }

    /// The number of runs that have ended, by the name of their [`Outcome`].
    pub fn ended(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Outcome::NAMES.into_iter().zip(self.ended.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Counts the start of a run, with the time from when its job was due, unless the job belongs
    /// to a backfill.
    pub(crate) fn add_start(&self, latency: Option<Duration>) {
        self.started.fetch_add(1, Ordering::Relaxed);
        if let Some(latency) = latency {
            self.start_latency.add(latency);
        }
    }

    /// Counts the end of a run.
    pub(crate) fn add_end(&self, outcome: &Outcome, took: Duration) {
        self.ended[outcome.index()].fetch_add(1, Ordering::Relaxed);
        self.run_time.add(took);
    }
}

/// The most groups of failures that are counted until they are taken; further groups are not
/// counted.
const MAX_FAILURES: usize = 1000;

/// What identifies a group of failures.
#[derive(Debug, PartialEq, Eq, Hash)]
struct FailureKey {
    kind: String,
    code: String,
    pattern: String,
}

/// The counters of one process, by kind. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Meter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kinds: BTreeMap<&'static str, (&'static str, KindMeter)>,
    unknown: KindMeter,
    failures: Mutex<HashMap<FailureKey, i64>>,
    rescued: AtomicU64,
    stale_finishes: AtomicU64,
    leases_lost: AtomicU64,
    listens_lost: AtomicU64,
}

impl Meter {
    /// Counters for these kinds, each with its queue.
    pub(crate) fn new(kinds: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        let kinds = kinds.into_iter().map(|(kind, queue)| (kind, (queue, KindMeter::default())));
        Self(Arc::new(Inner {
            kinds: kinds.collect(),
            unknown: KindMeter::default(),
            failures: Mutex::default(),
            rescued: AtomicU64::default(),
            stale_finishes: AtomicU64::default(),
            leases_lost: AtomicU64::default(),
            listens_lost: AtomicU64::default(),
        }))
    }

    /// Every kind with its queue and counters. Where jobs of kinds that this process does not know
    /// were run, they come last, as `unknown`.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, &'static str, &KindMeter)> {
        let unknown = Some(&self.0.unknown).filter(|meter| meter.started() > 0);
        let known = self.0.kinds.iter().map(|(kind, (queue, meter))| (*kind, *queue, meter));
        known.chain(unknown.map(|meter| ("unknown", "unknown", meter)))
    }

    /// The number of jobs that this process, as the leader, took from dead workers.
    pub fn rescued(&self) -> u64 {
        self.0.rescued.load(Ordering::Relaxed)
    }

    /// The number of outcomes that changed nothing, because the job belonged to another run or was
    /// final.
    pub fn stale_finishes(&self) -> u64 {
        self.0.stale_finishes.load(Ordering::Relaxed)
    }

    /// How often this process lost its lease.
    pub fn leases_lost(&self) -> u64 {
        self.0.leases_lost.load(Ordering::Relaxed)
    }

    /// How often this process lost the connection on which it listens for notifications.
    pub fn listens_lost(&self) -> u64 {
        self.0.listens_lost.load(Ordering::Relaxed)
    }

    pub(crate) fn of(&self, kind: &str) -> &KindMeter {
        self.0.kinds.get(kind).map_or(&self.0.unknown, |(_, meter)| meter)
    }

    /// Counts a failed attempt.
    pub(crate) fn add_failure(&self, kind: &str, code: &str, message: &str) {
        let key = FailureKey { kind: kind.to_owned(), code: code.to_owned(), pattern: pattern(message) };
        self.count_failures(std::iter::once((key, 1)));
    }

    fn count_failures(&self, more: impl Iterator<Item = (FailureKey, i64)>) {
        let mut failures = self.0.failures.lock();
        for (key, count) in more {
            if failures.len() < MAX_FAILURES || failures.contains_key(&key) {
                *failures.entry(key).or_default() += count;
            }
        }
    }

    /// Takes the failures that were counted since they were last taken.
    pub(crate) fn take_failures(&self) -> Vec<FailureSighting> {
        let taken = std::mem::take(&mut *self.0.failures.lock());
        let sighting =
            |(FailureKey { kind, code, pattern }, count)| FailureSighting { kind, code, pattern, count };
        taken.into_iter().map(sighting).collect()
    }

    /// Puts back failures that were taken and could not be written.
    pub(crate) fn put_back(&self, failures: Vec<FailureSighting>) {
        let counted =
            |FailureSighting { kind, code, pattern, count }| (FailureKey { kind, code, pattern }, count);
        self.count_failures(failures.into_iter().map(counted));
    }

    pub(crate) fn add_rescued(&self, jobs: u64) {
        self.0.rescued.fetch_add(jobs, Ordering::Relaxed);
    }

    pub(crate) fn add_stale_finish(&self) {
        self.0.stale_finishes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_lease_lost(&self) {
        self.0.leases_lost.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_listen_lost(&self) {
        self.0.listens_lost.fetch_add(1, Ordering::Relaxed);
    }
}
