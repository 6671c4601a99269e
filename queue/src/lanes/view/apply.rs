//! Applies to a view what its refresh has read from the log.

use crate::job::state::JobState;
use crate::lanes::log::{ClaimEntry, CountChange, LogTail};
use crate::lanes::priority_level::PriorityLevel;
use crate::lanes::view::QueueView;

impl QueueView {
    pub(super) fn apply(&mut self, tail: &LogTail) {
        self.snapshot = tail.snapshot.clone();
        self.now = tail.now;
        self.rows_since_checkpoint += (tail.claims.len() + tail.changes.len()) as u64;
        for claim in &tail.claims {
            self.apply_claim(claim);
        }
        for (change, last_unaware) in tail.in_claim_order(self.claim_seq) {
            self.apply_count(change, last_unaware);
        }
        // Only after all of them, as the changes of one refresh come in no order.
        for change in &tail.changes {
            self.reset_if_empty(change);
        }
        for change in &tail.changes {
            if change.state == JobState::Running {
                // Capacity that one sub-lane gives back is free for all sub-lanes of its lane.
                self.reschedule_lane(change.sublane.tenant);
            } else {
                self.reschedule(change.sublane);
            }
        }
        self.reschedule_due();
    }

    fn apply_claim(&mut self, claim: &ClaimEntry) {
        self.claim_seq = self.claim_seq.max(claim.claim_seq);
        if claim.worker.is_none() {
            return;
        }
        for (time, of_claim) in self.virtual_times.iter_mut().zip(claim.virtual_times) {
            *time = time.max(of_claim);
        }
        self.queue_tat = claim.queue_tat.or(self.queue_tat);
        for sublane in &claim.sublanes {
            self.sublane_mut(sublane.id).finish_tag = sublane.finish_tag;
            if sublane.tat.is_some() {
                self.lanes.entry(sublane.id.tenant).or_default().tat = sublane.tat;
            }
        }
        for sublane in &claim.sublanes {
            self.reschedule_lane(sublane.id.tenant);
        }
    }

    /// Applies one change. `last_unaware` is the last claim sequence number whose next claim may
    /// not have known of it.
    pub(crate) fn apply_count(&mut self, change: &CountChange, last_unaware: i64) {
        let (id, priority) = (change.sublane, change.priority);
        *self.sublane_mut(id).counts.entry((priority, change.state as u8)).or_default() += change.change;
        if let Some(backfill) = id.backfill {
            self.backfills.entry(backfill).or_default().change(change.state, change.change);
        }
        match change.state {
            JobState::Available => {
                let level = self.level_mut(id, priority);
                level.available += change.change;
                match change.lowest {
                    Some(seq) if change.requeued => level.add_requeued(seq),
                    Some(lowest) => level.add_arrived(lowest, last_unaware),
                    None => {}
                }
            }
            JobState::Running => {
                self.running += change.change;
                self.lanes.entry(id.tenant).or_default().running += change.change;
                if let Some(claimed) = change.claimed {
                    self.high_water = self.high_water.max(claimed.next_seq);
                    self.level_mut(id, priority).add_claimed(claimed);
                }
            }
            _ => {}
        }
    }

    /// Where nothing is available, the cursor waits for what comes next.
    fn reset_if_empty(&mut self, change: &CountChange) {
        if let Some(level) = self.known_level_mut(change.sublane, change.priority)
            && level.available == 0
        {
            *level = PriorityLevel::empty(level.high_water);
        }
    }
}
