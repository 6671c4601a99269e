//! How many jobs a worker runs at once in one queue, and who may have the next slot.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::claim::Room;
use crate::lanes::limits::BackfillSettings;
use crate::lanes::plan::share_of;

#[derive(Debug, Default)]
struct InUse {
    live: usize,
    backfills: HashMap<Uuid, usize>,
}

/// The slots of one queue in one process. Cheap to clone.
///
/// A backfill may use all of them while nothing else waits. What it uses beyond its share does not count against live
/// work, which therefore finds a slot at once; until the backfill's jobs end, more run than there are slots.
#[derive(Debug, Clone)]
pub(crate) struct Slots(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    total: usize,
    in_use: Mutex<InUse>,
    freed: Arc<Notify>,
}

impl Slots {
    /// `freed` is notified when a slot is given back.
    pub(crate) fn new(total: usize, freed: Arc<Notify>) -> Self {
        Self(Arc::new(Inner { total, in_use: Mutex::default(), freed }))
    }

    /// What a claim may take now.
    pub(crate) fn room(&self, backfills: &HashMap<Uuid, BackfillSettings>) -> Room {
        let in_use = self.0.in_use.lock().expect("no panic while held");
        let total = self.0.total;
        let kept = |(id, used): (&Uuid, &usize)| {
            let share = backfills.get(id).map_or(1.0, |backfill| backfill.share);
            let share = share_of(i64::try_from(total).unwrap_or(i64::MAX), share);
            (*used).min(usize::try_from(share).unwrap_or(0))
        };
        let live = total.saturating_sub(in_use.live + in_use.backfills.iter().map(kept).sum::<usize>());
        let backfill = total.saturating_sub(in_use.live + in_use.backfills.values().sum::<usize>());
        Room { jobs: live.max(backfill), live, backfill }
    }

    /// Whether more than three quarters of them are used: the process has enough to do until more are free.
    pub(crate) fn is_busy(&self) -> bool {
        let in_use = self.0.in_use.lock().expect("no panic while held");
        in_use.live + in_use.backfills.values().sum::<usize>() > self.0.total / 4 * 3
    }

    /// A slot of a claimed job, until it is dropped.
    pub(crate) fn take(&self, backfill: Option<Uuid>) -> Slot {
        let mut in_use = self.0.in_use.lock().expect("no panic while held");
        match backfill {
            Some(id) => *in_use.backfills.entry(id).or_default() += 1,
            None => in_use.live += 1,
        }
        Slot { of: self.clone(), backfill }
    }
}

/// See [`Slots::take`].
#[derive(Debug)]
pub(crate) struct Slot {
    of: Slots,
    backfill: Option<Uuid>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let inner = &self.of.0;
        {
            let mut in_use = inner.in_use.lock().expect("no panic while held");
            match self.backfill {
                Some(id) => {
                    if let Some(used) = in_use.backfills.get_mut(&id) {
                        *used -= 1;
                    }
                    in_use.backfills.retain(|_, used| *used > 0);
                }
                None => in_use.live -= 1,
            }
        }
        inner.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(total: usize) -> (Slots, Uuid, HashMap<Uuid, BackfillSettings>) {
        let id = Uuid::now_v7();
        let settings = BackfillSettings { paused: false, share: 0.25, max_running: None };
        (Slots::new(total, Arc::default()), id, HashMap::from([(id, settings)]))
    }

    #[test]
    fn a_backfill_may_use_all_slots_and_live_work_still_finds_its_own() {
        let (slots, id, settings) = slots(8);
        let used: Vec<_> = (0..8).map(|_| slots.take(Some(id))).collect();
        assert_eq!(slots.room(&settings), Room { jobs: 6, live: 6, backfill: 0 });
        let live: Vec<_> = (0..6).map(|_| slots.take(None)).collect();
        assert_eq!(slots.room(&settings), Room { jobs: 0, live: 0, backfill: 0 });
        drop(used);
        assert_eq!(slots.room(&settings), Room { jobs: 2, live: 2, backfill: 2 });
        drop(live);
        assert_eq!(slots.room(&settings), Room::of(8));
    }

    #[test]
    fn live_work_may_use_all_slots() {
        let (slots, _, settings) = slots(4);
        let _live: Vec<_> = (0..4).map(|_| slots.take(None)).collect();
        assert_eq!(slots.room(&settings), Room { jobs: 0, live: 0, backfill: 0 });
    }
}
