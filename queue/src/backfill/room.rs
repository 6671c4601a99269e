//! How many slices of a backfill may be on their way, tenant by tenant.
//!
//! Tenants that make headway share a window. One that does not (its rate is used up, it runs as many as it may, it is paused, its
//! jobs wait for another attempt) counts for nothing in it: it has a small window of its own, so that it goes on by itself as soon
//! as it may, and the others find the backfill as if it was not there.

use std::collections::HashMap;

use uuid::Uuid;

use crate::backfill::{Slice, Window};
use crate::lanes::backfill_parts::BackfillPart;

/// Slices of a tenant that may be on their way even where that is more than its part, so that making them is worth it.
const LEAST_EACH: u64 = 20;
/// Slices of all tenants that make no headway; one of each in any case.
const MOST_HELD: u64 = 10_000;
/// Each transaction has its price, so that none is begun for fewer slices.
const LEAST: u64 = 16;

#[derive(Debug, Clone, Copy, Default)]
struct Tenant {
    slices: u64,
    moves: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Room {
    size: u64,
    tenants: HashMap<Uuid, Tenant>,
    /// What a tenant that makes headway counts for at most: its part of the window.
    part: u64,
    /// Most slices of a tenant that makes headway, and of one that does not.
    moving: u64,
    held: u64,
}

impl Room {
    /// Of a window of `size` slices, with so many jobs of each tenant on their way.
    pub(crate) fn new(window: &Window, parts: Option<&HashMap<Uuid, BackfillPart>>, size: u64) -> Self {
        let is_at_end = window.next_slice == window.total;
        let mut tenants: HashMap<Uuid, Tenant> = HashMap::new();
        for (id, part) in parts.into_iter().flatten() {
            // One whose jobs are done wants more, unless it had its last.
            if part.live > 0 || !is_at_end || window.behind.contains_key(id) {
                let slices = window.slices(part.live.unsigned_abs());
                tenants.insert(*id, Tenant { slices, moves: part.progresses || slices == 0 });
            }
        }
        for id in window.behind.keys() {
            tenants.entry(*id).or_insert(Tenant { slices: 0, moves: true });
        }
        let count = |moves| tenants.values().filter(|tenant| tenant.moves == moves).count() as u64;
        let (moving, held) = (count(true), count(false));
        let part = size.div_ceil(moving.max(1));
        let of_all = size.div_ceil((moving + held).max(1)).max(LEAST_EACH);
        let held_back: u64 =
            tenants.values().filter(|tenant| !tenant.moves).map(|tenant| tenant.slices).sum();
        Self {
            size,
            tenants,
            part,
            moving: part.max(LEAST_EACH),
            held: if held_back < MOST_HELD { of_all.min((MOST_HELD / held.max(1)).max(1)) } else { 1 },
        }
    }

    /// Slices that may be added of all tenants that are not behind.
    pub(crate) fn in_all(&self) -> u64 {
        let moving = self.tenants.values().filter(|tenant| tenant.moves);
        let taken: u64 = moving.map(|tenant| tenant.slices.min(self.part)).sum();
        self.size.saturating_sub(taken)
    }

    /// Whether these are enough to begin with.
    pub(crate) fn is_worth_it(&self) -> bool {
        self.in_all() >= (self.part / 2).clamp(LEAST, (self.size / 4).max(LEAST))
    }

    /// Slices that may be added of a tenant.
    pub(crate) fn of(&self, tenant: Uuid) -> u64 {
        match self.tenants.get(&tenant) {
            None => self.moving,
            Some(tenant) => self.most(*tenant).saturating_sub(tenant.slices),
        }
    }

    fn most(&self, tenant: Tenant) -> u64 {
        if tenant.moves { self.moving } else { self.held }
    }

    /// Tenants that are behind and have used up a good part of what they had, those that have least first.
    pub(crate) fn wanting(&self, window: &Window, most: usize) -> Vec<Uuid> {
        let mut wanting: Vec<(u64, Uuid)> = window
            .behind
            .keys()
            .filter_map(|id| {
                let tenant = self.tenants.get(id).copied().unwrap_or_default();
                let wants = self.of(*id) * 4 >= self.most(tenant) && self.of(*id) > 0;
                wants.then_some((tenant.slices, *id))
            })
            .collect();
        wanting.sort_unstable();
        wanting.into_iter().take(most).map(|(_, id)| id).collect()
    }

    /// Takes the slices that there is room for; with them, who has no more room, and from which slice on.
    pub(crate) fn take(&mut self, slices: Vec<Slice>) -> (Vec<Slice>, HashMap<Uuid, u64>) {
        let (mut taken, mut behind) = (Vec::with_capacity(slices.len()), HashMap::new());
        for slice in slices {
            // One without jobs is nobody's.
            let Some(id) = slice.tenant() else { continue };
            if behind.contains_key(&id) {
                continue;
            }
            if self.of(id) == 0 {
                behind.insert(id, slice.number);
                continue;
            }
            self.tenants.entry(id).or_insert(Tenant { slices: 0, moves: true }).slices += 1;
            taken.push(slice);
        }
        (taken, behind)
    }
}
