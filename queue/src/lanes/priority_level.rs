//! How far the jobs of one priority in a sub-lane are claimed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// How far a claim has come in a priority level: past everything there but what was requeued.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClaimedUpTo {
    /// The claim sequence number of the claim.
    pub(crate) claim_seq: i64,
    /// The `seq` after the last job that it took.
    pub(crate) next_seq: i64,
}

/// Jobs of one sub-lane and priority that may start. A view's checkpoint holds it under the names
/// given here.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct PriorityLevel {
    /// How many there are.
    #[serde(skip)]
    pub(crate) available: i64,
    /// No job with a lower `seq` may start but those in `requeued`: claims read the index from here
    /// on.
    #[serde(rename = "from")]
    pub(crate) cursor: i64,
    /// High-water mark: nobody has claimed a job with this `seq` or a higher one. The rows of lower
    /// ones do not say whether they are claimed.
    #[serde(rename = "fresh")]
    pub(crate) high_water: i64,
    /// The claim after this claim sequence number may not have known of the jobs that arrived last;
    /// all later ones did.
    #[serde(rename = "came_after")]
    arrived_after: i64,
    /// The lowest `seq` of these jobs.
    #[serde(rename = "came_from")]
    arrived_from: i64,
    /// The `seq`s of jobs that became available again, of which some may be gone. Those from the
    /// cursor on are found there.
    #[serde(rename = "strays")]
    pub(crate) requeued: BTreeSet<i64>,
}

impl PriorityLevel {
    /// With more requeued jobs than this, the level is read again from the first of them on.
    const MAX_REQUEUED: usize = 10_000;

    /// A level in which nothing is available, and of which nobody has claimed from `high_water` on.
    /// The cursor waits for what comes next.
    pub(crate) fn empty(high_water: i64) -> Self {
        Self {
            available: 0,
            cursor: i64::MAX,
            high_water,
            arrived_after: 0,
            arrived_from: i64::MAX,
            requeued: BTreeSet::new(),
        }
    }

    /// A level that is read from its very first job on.
    pub(crate) fn from_beginning(high_water: i64) -> Self {
        Self { high_water, ..Self::default() }
    }

    /// A job became available again. It is noted wherever the cursor is, as another worker's may be
    /// further.
    pub(crate) fn add_requeued(&mut self, seq: i64) {
        self.requeued.insert(seq);
        if self.requeued.len() > Self::MAX_REQUEUED {
            self.cursor = self.cursor.min(self.requeued.first().copied().unwrap_or(seq));
            self.requeued.clear();
            // Other views still know these jobs one by one, so that their cursors say nothing of
            // them.
            (self.arrived_after, self.arrived_from) = (i64::MAX - 1, self.cursor);
        }
    }

    /// Jobs arrived, of which `lowest` is the first. The claim after `claim_seq` may not have known
    /// of them; every later one did.
    pub(crate) fn add_arrived(&mut self, lowest: i64, claim_seq: i64) {
        self.cursor = self.cursor.min(lowest);
        if claim_seq > self.arrived_after {
            (self.arrived_after, self.arrived_from) = (claim_seq, lowest);
        } else {
            self.arrived_from = self.arrived_from.min(lowest);
        }
    }

    /// A claim took jobs from here. It read past everything that it knew of.
    pub(crate) fn add_claimed(&mut self, ClaimedUpTo { claim_seq, next_seq }: ClaimedUpTo) {
        self.high_water = self.high_water.max(next_seq);
        let unknown = if claim_seq <= self.arrived_after + 1 { self.arrived_from } else { i64::MAX };
        self.cursor = self.cursor.max(next_seq.min(unknown));
    }

    /// A claim read the index up to `cursor`, and took the requeued jobs that it met on the way.
    pub(crate) fn advance(&mut self, cursor: i64) {
        if cursor <= self.cursor {
            return;
        }
        let met: Vec<i64> = self.requeued.range(self.cursor..cursor).copied().collect();
        for seq in met {
            self.requeued.remove(&seq);
        }
        self.cursor = cursor;
    }
}
