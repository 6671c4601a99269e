//! How many jobs a worker runs at once in one queue, and who may have the next permit.

use std::collections::HashMap;
use std::sync::Arc;

use az::SaturatingAs;
use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::claim::Capacity;
use crate::claim::plan::share_of;
use crate::lanes::settings::BackfillLimits;

#[derive(Debug, Default)]
struct InUse {
    live: usize,
    backfills: HashMap<Uuid, usize>,
}

/// The permits of one queue in one process. Cheap to clone.
///
/// A backfill may use all permits while no other work waits. What it uses beyond its share does not
/// count against other work, called live, which therefore gets a permit at once; until jobs of the
/// backfill end, more jobs run than there are permits.
#[derive(Debug, Clone)]
pub(crate) struct Permits(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    total: usize,
    in_use: Mutex<InUse>,
    freed: Arc<Notify>,
}

impl Permits {
    /// `total` permits; `freed` is notified when one is given back.
    pub(crate) fn new(total: usize, freed: Arc<Notify>) -> Self {
        Self(Arc::new(Inner { total, in_use: Mutex::default(), freed }))
    }

    /// How many jobs a claim may take now.
    pub(crate) fn capacity(&self, backfills: &HashMap<Uuid, BackfillLimits>) -> Capacity {
        let in_use = self.0.in_use.lock();
        let total = self.0.total;
        let within_share = |(id, used): (&Uuid, &usize)| {
            let share = backfills.get(id).map_or(1.0, |backfill| backfill.share);
            let share = share_of(total.saturating_as::<i64>(), share);
            (*used).min(share.saturating_as::<usize>())
        };
        let reserved = in_use.backfills.iter().map(within_share).sum::<usize>();
        let live = total.saturating_sub(in_use.live + reserved);
        let backfill = total.saturating_sub(in_use.live + in_use.backfills.values().sum::<usize>());
        Capacity { jobs: live.max(backfill), live, backfill }
    }

    /// Whether more than three quarters of the permits are in use: the process has enough to do
    /// until more are free.
    pub(crate) fn is_busy(&self) -> bool {
        let in_use = self.0.in_use.lock();
        in_use.live + in_use.backfills.values().sum::<usize>() > self.0.total / 4 * 3
    }

    /// The permit of a claimed job, which is given back when it is dropped.
    pub(crate) fn take(&self, backfill: Option<Uuid>) -> Permit {
        let mut in_use = self.0.in_use.lock();
        match backfill {
            Some(id) => *in_use.backfills.entry(id).or_default() += 1,
            None => in_use.live += 1,
        }
        Permit { permits: self.clone(), backfill }
    }
}

/// See [`Permits::take`].
#[derive(Debug)]
pub(crate) struct Permit {
    permits: Permits,
    backfill: Option<Uuid>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let inner = &self.permits.0;
        {
            let mut in_use = inner.in_use.lock();
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

    fn permits(total: usize) -> (Permits, Uuid, HashMap<Uuid, BackfillLimits>) {
        let id = Uuid::now_v7();
        let settings = BackfillLimits { paused: false, share: 0.25, max_running: None };
        (Permits::new(total, Arc::default()), id, HashMap::from([(id, settings)]))
    }

    #[test]
    fn live_work_gets_permits_while_a_backfill_uses_all() {
        let (permits, id, settings) = permits(8);
        let used: Vec<_> = (0..8).map(|_| permits.take(Some(id))).collect();
        assert_eq!(permits.capacity(&settings), Capacity { jobs: 6, live: 6, backfill: 0 });
        let live: Vec<_> = (0..6).map(|_| permits.take(None)).collect();
        assert_eq!(permits.capacity(&settings), Capacity { jobs: 0, live: 0, backfill: 0 });
        drop(used);
        assert_eq!(permits.capacity(&settings), Capacity { jobs: 2, live: 2, backfill: 2 });
        drop(live);
        assert_eq!(permits.capacity(&settings), Capacity::of(8));
    }

    #[test]
    fn live_work_may_use_all_permits() {
        let (permits, _, settings) = permits(4);
        let _live: Vec<_> = (0..4).map(|_| permits.take(None)).collect();
        assert_eq!(permits.capacity(&settings), Capacity { jobs: 0, live: 0, backfill: 0 });
    }
}
