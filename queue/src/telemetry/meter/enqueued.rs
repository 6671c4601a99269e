//! What this process has stored, wherever in it that was asked for.

use std::collections::BTreeMap;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Jobs by queue and kind.
pub type Enqueues = BTreeMap<(String, String), u64>;

/// One for the process: [`enqueue`](crate::enqueue()) has nothing but the caller's connection. By queue and then by kind, so that
/// looking one up allocates nothing.
static ENQUEUED: RwLock<BTreeMap<String, BTreeMap<String, AtomicU64>>> = RwLock::new(BTreeMap::new());

/// Counts jobs by their queues and kinds; those alike that follow each other in one step.
pub(crate) fn add<'a>(jobs: impl Iterator<Item = (&'a str, &'a str)>) {
    let mut jobs = jobs.peekable();
    while let Some(job) = jobs.next() {
        let mut count = 1;
        while jobs.next_if_eq(&job).is_some() {
            count += 1;
        }
        add_alike(job, count);
    }
}

fn add_alike((queue, kind): (&str, &str), count: u64) {
    let known = ENQUEUED.read().expect("no panic while held");
    if let Some(counter) = known.get(queue).and_then(|kinds| kinds.get(kind)) {
        counter.fetch_add(count, Ordering::Relaxed);
        return;
    }
    drop(known);
    let mut all = ENQUEUED.write().expect("no panic while held");
    let counter = all.entry(queue.to_owned()).or_default().entry(kind.to_owned()).or_default();
    counter.fetch_add(count, Ordering::Relaxed);
}

/// All jobs that this process has stored since its start, those of transactions among them that were rolled back afterwards.
pub fn all() -> Enqueues {
    let all = ENQUEUED.read().expect("no panic while held");
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
        // Names that no other test of this process has.
        let jobs = [("counted", "a"), ("counted", "a"), ("counted", "b"), ("counted", "a")];
        add(jobs.into_iter());
        add(jobs.into_iter().take(1));
        let count = |kind: &str| all()[&("counted".to_owned(), kind.to_owned())];
        assert_eq!((count("a"), count("b")), (4, 1));
    }
}
