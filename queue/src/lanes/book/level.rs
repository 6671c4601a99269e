//! How far a lane is claimed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::lanes::log::{Claimed, Count, News};

/// Jobs of one flow and priority that may start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Level {
    #[serde(skip)]
    pub(crate) available: i64,
    /// The cursor: no job behind it may start but strays.
    pub(crate) from: i64,
    /// Nobody has claimed a job with this `seq` or a higher one. Of lower ones, rows do not tell who has.
    pub(crate) fresh: i64,
    /// The turn after which jobs came in, and the lowest of those that came in then.
    came_after: i64,
    came_from: i64,
    /// Jobs that came back; some may be gone again. Those from the cursor on are met there.
    pub(crate) strays: BTreeSet<i64>,
}

impl Level {
    /// With more strays than this, the lane is read again from the first one on.
    const MOST_STRAYS: usize = 10_000;

    /// Nothing is available, and nobody has claimed from `fresh` on. The cursor waits for what comes next.
    pub(super) fn empty(fresh: i64) -> Self {
        Self {
            available: 0,
            from: i64::MAX,
            fresh,
            came_after: 0,
            came_from: i64::MAX,
            strays: BTreeSet::new(),
        }
    }

    /// Everything in it is looked through.
    pub(crate) fn from_beginning(fresh: i64) -> Self {
        Self { fresh, ..Self::default() }
    }

    /// Jobs came in. Who took the turn after `no` may not have known of them; everybody after that did.
    pub(super) fn came(&mut self, lowest: i64, returned: bool, no: i64) {
        if returned {
            // Wherever the cursor is: another host's may be further.
            self.strays.insert(lowest);
            if self.strays.len() > Self::MOST_STRAYS {
                self.from = self.from.min(self.strays.first().copied().unwrap_or(lowest));
                self.strays.clear();
                // Others go on by their strays, and their cursors say nothing of these.
                (self.came_after, self.came_from) = (i64::MAX - 1, self.from);
            }
            return;
        }
        self.from = self.from.min(lowest);
        if no > self.came_after {
            (self.came_after, self.came_from) = (no, lowest);
        } else {
            self.came_from = self.came_from.min(lowest);
        }
    }

    /// A claim took jobs from here. It went past all that it knew of.
    pub(super) fn claimed(&mut self, Claimed { turn, past }: Claimed) {
        self.fresh = self.fresh.max(past);
        let known = if turn <= self.came_after + 1 { self.came_from } else { i64::MAX };
        self.from = self.from.max(past.min(known));
    }
}

/// The counts of `news` as claims met them: what the claim of a turn was decided on comes before it. With each goes the last turn after
/// which one may not have known of it: `last`, where no claim among them tells.
pub(super) fn in_order(news: &News, last: i64) -> Vec<(&Count, i64)> {
    let met_by = |txid| {
        let place = news.sights.partition_point(|(_, seen)| !seen.has(txid));
        news.sights.get(place).map(|(turn, _)| *turn)
    };
    let of = |count: &Count| match count.claimed {
        Some(claimed) => (claimed.turn, true),
        None => (met_by(count.txid).unwrap_or(i64::MAX), false),
    };
    let mut order: Vec<((i64, bool), &Count)> = news.counts.iter().map(|count| (of(count), count)).collect();
    order.sort_by_key(|(place, _)| *place);
    let known = |turn: i64| if turn == i64::MAX { last } else { turn - 2 };
    order.into_iter().map(|((turn, _), count)| (count, known(turn))).collect()
}
