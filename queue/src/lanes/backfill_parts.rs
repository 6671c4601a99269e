//! What each tenant's part of a backfill does in a queue.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::job::state::{JobState, StateCounts};
use crate::lanes::sublane::SubLaneId;
use crate::lanes::view::QueueView;

/// A tenant's jobs of a backfill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BackfillPart {
    /// Those that are not final.
    pub(crate) live: i64,
    /// Whether the part progresses: one of its jobs may start, as far as the tenant's own limits
    /// go, or all that could start run.
    pub(crate) progresses: bool,
}

impl QueueView {
    /// The parts of these backfills, with their backfill and tenant. A tenant that has no jobs of a
    /// backfill has no part in it.
    fn parts(&self, backfills: &HashSet<Uuid>) -> impl Iterator<Item = (Uuid, Uuid, BackfillPart)> {
        self.sublanes.iter().filter_map(|(id, sublane)| {
            let backfill = id.backfill.filter(|id| backfills.contains(id))?;
            let mut counts = StateCounts::default();
            for (state, count) in sublane.by_state() {
                counts.change(state, count);
            }
            if counts.total() <= 0 {
                return None;
            }
            let progresses = if counts.of(JobState::Available) > 0 {
                self.blocked(SubLaneId::live(id.tenant)).is_none()
            } else {
                counts.of(JobState::Running) > 0
            };
            Some((backfill, id.tenant, BackfillPart { live: counts.live().max(0), progresses }))
        })
    }
}

/// The parts of backfills over all of their queues, by backfill and tenant.
pub(crate) fn backfill_parts<'a>(
    views: impl Iterator<Item = &'a QueueView>,
    backfills: &HashSet<Uuid>,
) -> HashMap<Uuid, HashMap<Uuid, BackfillPart>> {
    let mut all: HashMap<Uuid, HashMap<Uuid, BackfillPart>> = HashMap::new();
    if backfills.is_empty() {
        return all;
    }
    for (backfill, tenant, part) in views.flat_map(|view| view.parts(backfills)) {
        let sum = all.entry(backfill).or_default().entry(tenant).or_default();
        sum.live += part.live;
        sum.progresses |= part.progresses;
    }
    all
}
