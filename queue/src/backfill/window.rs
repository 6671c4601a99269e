//! How many slices of a backfill may be in flight, tenant by tenant.
//!
//! Tenants that progress share one window. A stalled tenant (its rate is used up, it runs as many
//! jobs as it may, it is paused, or its jobs wait for another attempt) takes nothing of it: it has
//! a small window of its own, so that it goes on by itself as soon as it may, and the others
//! progress as if it was not there.

use std::collections::HashMap;

use uuid::Uuid;

use super::open::OpenBackfill;
use super::slices::Slice;
use crate::lanes::backfill_parts::BackfillPart;

/// A tenant may have this many slices in flight even where that is more than its share of the
/// window: fewer are not worth a transaction.
const MIN_SLICES_PER_TENANT: u64 = 20;
/// Most slices in flight of all stalled tenants together; each may have one in any case.
const MAX_STALLED_SLICES: u64 = 10_000;
/// Each transaction has its price, so that none is begun for fewer slices than this.
const MIN_SLICES_PER_TRANSACTION: u64 = 16;

#[derive(Debug, Clone, Copy, Default)]
struct TenantSlices {
    /// Slices in flight.
    slices: u64,
    /// Whether the tenant progresses rather than being stalled.
    progresses: bool,
}

/// The window of a backfill's slices in flight, and how full it is.
#[derive(Debug)]
pub(crate) struct SliceWindow {
    size: u64,
    tenants: HashMap<Uuid, TenantSlices>,
    /// A progressing tenant's share of the window: it counts for no more than that, however many
    /// slices it has.
    share: u64,
    /// Most slices in flight of a progressing tenant.
    max_progressing: u64,
    /// Most slices in flight of a stalled tenant.
    max_stalled: u64,
}

impl SliceWindow {
    /// A window of `size` slices for `backfill`, whose jobs of each tenant are `parts`.
    pub(crate) fn new(
        backfill: &OpenBackfill,
        parts: Option<&HashMap<Uuid, BackfillPart>>,
        size: u64,
    ) -> Self {
        let is_at_end = backfill.next_slice == backfill.total;
        let mut tenants: HashMap<Uuid, TenantSlices> = HashMap::new();
        for (id, part) in parts.into_iter().flatten() {
            // A tenant whose jobs are done wants more slices, unless it had its last one.
            if part.live > 0 || !is_at_end || backfill.behind.contains_key(id) {
                let slices = backfill.slices_of_jobs(part.live.unsigned_abs());
                tenants.insert(*id, TenantSlices { slices, progresses: part.progresses || slices == 0 });
            }
        }
        for id in backfill.behind.keys() {
            tenants.entry(*id).or_insert(TenantSlices { slices: 0, progresses: true });
        }
        let count =
            |progresses| tenants.values().filter(|tenant| tenant.progresses == progresses).count() as u64;
        let (progressing, stalled) = (count(true), count(false));
        let share = size.div_ceil(progressing.max(1));
        let share_of_all = size.div_ceil((progressing + stalled).max(1)).max(MIN_SLICES_PER_TENANT);
        let stalled_slices: u64 =
            tenants.values().filter(|tenant| !tenant.progresses).map(|tenant| tenant.slices).sum();
        Self {
            size,
            tenants,
            share,
            max_progressing: share.max(MIN_SLICES_PER_TENANT),
            max_stalled: if stalled_slices < MAX_STALLED_SLICES {
                share_of_all.min((MAX_STALLED_SLICES / stalled.max(1)).max(1))
            } else {
                1
            },
        }
    }

    /// How many slices may be added of all tenants that are not behind.
    pub(crate) fn free(&self) -> u64 {
        let progressing = self.tenants.values().filter(|tenant| tenant.progresses);
        let taken: u64 = progressing.map(|tenant| tenant.slices.min(self.share)).sum();
        self.size.saturating_sub(taken)
    }

    /// Whether enough slices may be added to be worth transactions.
    pub(crate) fn is_worth_filling(&self) -> bool {
        self.free()
            >= (self.share / 2)
                .clamp(MIN_SLICES_PER_TRANSACTION, (self.size / 4).max(MIN_SLICES_PER_TRANSACTION))
    }

    /// How many slices may be added of a tenant.
    pub(crate) fn free_for(&self, tenant: Uuid) -> u64 {
        match self.tenants.get(&tenant) {
            None => self.max_progressing,
            Some(tenant) => self.limit(*tenant).saturating_sub(tenant.slices),
        }
    }

    fn limit(&self, tenant: TenantSlices) -> u64 {
        if tenant.progresses { self.max_progressing } else { self.max_stalled }
    }

    /// Up to `limit` tenants that are behind and have finished a good part of their slices; those
    /// with the fewest slices in flight first.
    pub(crate) fn tenants_to_catch_up(&self, backfill: &OpenBackfill, limit: usize) -> Vec<Uuid> {
        let mut tenants: Vec<(u64, Uuid)> = backfill
            .behind
            .keys()
            .filter_map(|id| {
                let tenant = self.tenants.get(id).copied().unwrap_or_default();
                let free = self.free_for(*id);
                (free * 4 >= self.limit(tenant) && free > 0).then_some((tenant.slices, *id))
            })
            .collect();
        tenants.sort_unstable();
        tenants.into_iter().take(limit).map(|(_, id)| id).collect()
    }

    /// Admits the slices that fit into the window. Also returns the tenants whose windows are full,
    /// each with the first of its slices that was not admitted.
    pub(crate) fn admit(&mut self, slices: Vec<Slice>) -> (Vec<Slice>, HashMap<Uuid, u64>) {
        let (mut admitted, mut behind) = (Vec::with_capacity(slices.len()), HashMap::new());
        for slice in slices {
            // A slice without jobs belongs to no tenant.
            let Some(id) = slice.tenant() else { continue };
            if behind.contains_key(&id) {
                continue;
            }
            if self.free_for(id) == 0 {
                behind.insert(id, slice.number);
                continue;
            }
            self.tenants.entry(id).or_insert(TenantSlices { slices: 0, progresses: true }).slices += 1;
            admitted.push(slice);
        }
        (admitted, behind)
    }
}
