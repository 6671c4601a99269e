//! How each tenant's part of a backfill stands in one queue.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::job::state::{JobState, StateCounts};
use crate::lanes::book::{Book, FlowId};

/// A tenant's jobs of a backfill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Part {
    /// Those that are not final.
    pub(crate) live: i64,
    /// Whether it makes headway: one may start, for all that its tenant's own limits say, or all that could have started runs.
    pub(crate) moves: bool,
}

impl Book {
    /// The parts of these backfills, by tenant; tenants that have no jobs of one are left out.
    fn parts(&self, backfills: &HashSet<Uuid>) -> impl Iterator<Item = (Uuid, Uuid, Part)> {
        self.flows.iter().filter_map(|(id, flow)| {
            let backfill = id.backfill.filter(|id| backfills.contains(id))?;
            let mut counts = StateCounts::default();
            for ((_, state), count) in &flow.counts {
                counts.change(JobState::ALL[usize::from(*state)], *count);
            }
            if counts.total() <= 0 {
                return None;
            }
            let live = counts.live().max(0);
            let moves = if counts.of(JobState::Available) > 0 {
                self.blocked(FlowId { tenant: id.tenant, backfill: None }).is_none()
            } else {
                counts.of(JobState::Running) > 0
            };
            Some((backfill, id.tenant, Part { live, moves }))
        })
    }
}

/// The parts of backfills in all of their queues, by backfill and tenant.
pub(crate) fn of_all<'a>(
    books: impl Iterator<Item = &'a Book>,
    backfills: &HashSet<Uuid>,
) -> HashMap<Uuid, HashMap<Uuid, Part>> {
    let mut all: HashMap<Uuid, HashMap<Uuid, Part>> = HashMap::new();
    if backfills.is_empty() {
        return all;
    }
    for (backfill, tenant, part) in books.flat_map(|book| book.parts(backfills)) {
        let sum = all.entry(backfill).or_default().entry(tenant).or_default();
        sum.live += part.live;
        sum.moves |= part.moves;
    }
    all
}
