//! How many jobs a worker runs at once: a number for each of its queues, and exceptions.

use std::collections::{BTreeMap, BTreeSet};

/// Jobs at once in each queue of one worker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Concurrency {
    each: usize,
    exceptions: BTreeMap<String, usize>,
}

impl From<usize> for Concurrency {
    /// So many in every queue.
    fn from(each: usize) -> Self {
        Self { each, exceptions: BTreeMap::new() }
    }
}

impl Concurrency {
    /// So many in this queue, whatever is so for the others.
    #[must_use]
    pub fn with(mut self, queue: impl Into<String>, jobs: usize) -> Self {
        self.exceptions.insert(queue.into(), jobs);
        self
    }

    /// Jobs at once in a queue that is no exception.
    pub fn each(&self) -> usize {
        self.each
    }

    /// The queues with a number of their own.
    pub fn exceptions(&self) -> &BTreeMap<String, usize> {
        &self.exceptions
    }

    /// Jobs at once in this queue.
    pub fn of(&self, queue: &str) -> usize {
        self.exceptions.get(queue).copied().unwrap_or(self.each)
    }

    /// Jobs at once in all these queues together.
    pub fn sum(&self, queues: &BTreeSet<&str>) -> usize {
        queues.iter().map(|queue| self.of(queue)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_without_an_exception_has_the_number_of_all() {
        let concurrency = Concurrency::from(8).with("mail", 16);
        assert_eq!((concurrency.of("mail"), concurrency.of("images")), (16, 8));
        assert_eq!(concurrency.sum(&BTreeSet::from(["mail", "images", "reports"])), 32);
    }
}
