//! What a process counts of its work, for whoever watches it.
//!
//! Counters that only grow, added to where things happen and read at any time: what is made of them (Prometheus, a log line) is
//! somebody else's. A run adds to a handful of atomics, found once by its kind; nothing is locked or allocated for it.

mod enqueued;
mod histogram;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::claim::ClaimedJob;
use crate::finish::Outcome;
use crate::telemetry::failures::{self, Seen};

pub(crate) use enqueued::add as enqueued;
pub use enqueued::{Enqueues, all as all_enqueued};
pub use histogram::{BOUNDS, Histogram, Reading};

/// How a run can end, in the words of [`KindMeter::ended`].
pub const OUTCOMES: [&str; 6] = ["completed", "retried", "discarded", "snoozed", "cancelled", "handed_back"];

/// Which of [`OUTCOMES`] it is.
pub fn name_of(outcome: &Outcome) -> &'static str {
    OUTCOMES[index_of(outcome)]
}

fn index_of(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Completed { .. } | Outcome::AlreadyFinished => 0,
        Outcome::Retry { .. } => 1,
        Outcome::Discarded { .. } => 2,
        Outcome::Snoozed(_) => 3,
        Outcome::Cancelled => 4,
        Outcome::HandedBack => 5,
    }
}

/// The runs of one kind in this process.
#[derive(Debug, Default)]
pub struct KindMeter {
    started: AtomicU64,
    ended: [AtomicU64; OUTCOMES.len()],
    /// From when a job was due until it was claimed: of live work, as backfills' jobs wait behind that.
    pub start_latency: Histogram,
    /// How long handlers ran.
    pub run_time: Histogram,
}

impl KindMeter {
    /// Runs that have begun.
    pub fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }

    /// Runs that are over, by their outcome.
    pub fn ended(&self) -> impl Iterator<Item = (&'static str, u64)> {
        OUTCOMES.into_iter().zip(self.ended.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    pub(crate) fn start(&self, job: &ClaimedJob) {
        self.started.fetch_add(1, Ordering::Relaxed);
        if job.backfill.is_none() {
            self.start_latency.add((job.run.at - job.due).to_std().unwrap_or_default());
        }
    }

    pub(crate) fn end(&self, outcome: &Outcome, took: Duration) {
        self.ended[index_of(outcome)].fetch_add(1, Ordering::Relaxed);
        self.run_time.add(took);
    }
}

/// Failures that are told apart until they are taken; what is beyond them is not counted.
const MOST_FAILURES: usize = 1000;

/// See [`failures`].
#[derive(Debug, PartialEq, Eq, Hash)]
struct Failed {
    kind: String,
    code: String,
    pattern: String,
}

/// The work of one process, by kind. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Meter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kinds: BTreeMap<&'static str, (&'static str, KindMeter)>,
    unknown: KindMeter,
    failures: Mutex<HashMap<Failed, i64>>,
    rescued: AtomicU64,
    stale_finishes: AtomicU64,
    leases_lost: AtomicU64,
    listens_lost: AtomicU64,
}

impl Meter {
    /// Of these kinds, each with its queue.
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

    /// Every kind, with its queue. Jobs of kinds that this process does not know come last, as `unknown`, where there were any.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, &'static str, &KindMeter)> {
        let unknown = Some(&self.0.unknown).filter(|meter| meter.started() > 0);
        let known = self.0.kinds.iter().map(|(kind, (queue, meter))| (*kind, *queue, meter));
        known.chain(unknown.map(|meter| ("unknown", "unknown", meter)))
    }

    /// Jobs that this process, while it led, took from workers that were gone.
    pub fn rescued(&self) -> u64 {
        self.0.rescued.load(Ordering::Relaxed)
    }

    /// Outcomes that changed nothing: the job was another run's by then, or final.
    pub fn stale_finishes(&self) -> u64 {
        self.0.stale_finishes.load(Ordering::Relaxed)
    }

    /// How often this process's own lease ran out under it.
    pub fn leases_lost(&self) -> u64 {
        self.0.leases_lost.load(Ordering::Relaxed)
    }

    /// How often the connection was lost on which this process is woken.
    pub fn listens_lost(&self) -> u64 {
        self.0.listens_lost.load(Ordering::Relaxed)
    }

    pub(crate) fn of(&self, kind: &str) -> &KindMeter {
        self.0.kinds.get(kind).map_or(&self.0.unknown, |(_, meter)| meter)
    }

    /// An attempt of that kind has failed.
    pub(crate) fn failed(&self, kind: &str, code: &str, message: &str) {
        let key =
            Failed { kind: kind.to_owned(), code: code.to_owned(), pattern: failures::pattern(message) };
        self.count_failures(std::iter::once((key, 1)));
    }

    fn count_failures(&self, more: impl Iterator<Item = (Failed, i64)>) {
        let mut failures = self.0.failures.lock().expect("no panic while held");
        for (failed, count) in more {
            if failures.len() < MOST_FAILURES || failures.contains_key(&failed) {
                *failures.entry(failed).or_default() += count;
            }
        }
    }

    /// What failed since they were last taken.
    pub(crate) fn take_failures(&self) -> Vec<Seen> {
        let taken = std::mem::take(&mut *self.0.failures.lock().expect("no panic while held"));
        let seen = |(Failed { kind, code, pattern }, count)| Seen { kind, code, pattern, count };
        taken.into_iter().map(seen).collect()
    }

    /// They could not be told.
    pub(crate) fn put_back(&self, failures: Vec<Seen>) {
        let failed = |Seen { kind, code, pattern, count }| (Failed { kind, code, pattern }, count);
        self.count_failures(failures.into_iter().map(failed));
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
