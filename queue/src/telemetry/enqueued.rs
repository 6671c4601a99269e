//! Counts of the jobs that this process has enqueued, from wherever in it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

/// Enqueued jobs by queue and kind.
pub type EnqueuedCounts = BTreeMap<(String, String), u64>;

/// The counters of the process. They are global because [`enqueue`](crate::enqueue()) gets nothing
/// but the caller's connection, and nested by queue and kind so that a look-up allocates nothing.
static ENQUEUED: RwLock<BTreeMap<String, BTreeMap<String, AtomicU64>>> = RwLock::new(BTreeMap::new());

/// Counts jobs by their queues and kinds; equal ones that follow each other take one step.
pub(crate) fn count<'a>(jobs: impl Iterator<Item = (&'a str, &'a str)>) {
    let mut jobs = jobs.peekable();
    while let Some(job) = jobs.next() {
        let mut equal = 1;
        while jobs.next_if_eq(&job).is_some() {
            equal += 1;
        }
        add_equal(job, equal);
    }
}

fn add_equal((queue, kind): (&str, &str), count: u64) {
    let known = ENQUEUED.read();
    if let Some(counter) = known.get(queue).and_then(|kinds| kinds.get(kind)) {
        counter.fetch_add(count, Ordering::Relaxed);
        return;
    }
    drop(known);
    let mut all = ENQUEUED.write();
    let counter = all.entry(queue.to_owned()).or_default().entry(kind.to_owned()).or_default();
    counter.fetch_add(count, Ordering::Relaxed);
}

/// The jobs that this process has enqueued since its start, including those of transactions that
/// were rolled back afterwards.
pub fn all() -> EnqueuedCounts {
    let all = ENQUEUED.read();
    let rows = all.iter().flat_map(|(queue, kinds)| {
        kinds.iter().map(move |(kind, count)| ((queue.clone(), kind.clone()), count.load(Ordering::Relaxed)))
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_counted_by_queue_and_kind() {
        // Names that no other test of this process uses.
        let jobs = [("counted", "a"), ("counted", "a"), ("counted", "b"), ("counted", "a")];
        super::count(jobs.into_iter());
        super::count(jobs.into_iter().take(1));
        let count = |kind: &str| all()[&("counted".to_owned(), kind.to_owned())];
        assert_eq!((count("a"), count("b")), (4, 1));
    }
}
