//! What a domain counts, for monitoring.

/// Labels of a number for monitoring: names and values.
pub type Labels = Vec<(&'static str, &'static str)>;

/// What a domain counts in each process, for monitoring.
#[derive(Debug, Clone, Copy)]
pub struct DomainCounter {
    /// Its name, without what all names begin and end with.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// How many there were so far, by labels.
    pub read: fn() -> Vec<(Labels, u64)>,
}
