//! Carries backfills on: keeps a bounded number of their slices in flight, retries failed jobs,
//! carries out cancels, records their ends.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use az::SaturatingAs;
use sqlx::{PgConnection, PgPool};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::backfill::{self, OpenBackfill, Sample, SliceWindow, Slices};
use crate::error::Result;
use crate::job::state::StateCounts;
use crate::lanes::QueueView;
use crate::lanes::backfill_parts::{BackfillPart, backfill_parts};

/// The window of a backfill's slices in flight has room for twice as many as the fleet runs at
/// once, but no fewer slices than this.
const MIN_WINDOW: u64 = 500;
/// The window has room for no more slices than this.
const MAX_WINDOW: u64 = 2_000;

/// Most slices that become jobs in one transaction.
const MAX_SLICES_PER_TRANSACTION: u64 = 500;

/// Most transactions for one backfill before it is the next one's turn.
const MAX_TRANSACTIONS: usize = 20;

/// Expands backfills. May run in every worker at once; keeps the views of their queues between its
/// runs.
pub struct Expander {
    slices: Vec<Arc<dyn Slices>>,
    views: Mutex<HashMap<String, QueueView>>,
}

impl fmt::Debug for Expander {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expander").finish_non_exhaustive()
    }
}

impl Expander {
    /// An expander for the slices that the application defines. Each backfill is expanded by the
    /// first of `slices` that knows its kind.
    pub fn new(slices: Vec<Arc<dyn Slices>>) -> Self {
        Self { slices, views: Mutex::default() }
    }

    /// Does what is due for each backfill that has not ended; returns how much that was: slices
    /// examined, jobs cancelled or retried.
    ///
    /// # Errors
    /// The last error there was; one backfill's error does not keep the others from being carried
    /// on.
    pub async fn run_once(&self, pool: &PgPool) -> Result<u64> {
        let mut views = self.views.lock().await;
        let mut conn = pool.acquire().await?;
        let backfills = backfill::load_open(&mut conn).await?;
        // The views are refreshed after the backfills were loaded, so that they hold every job of
        // the slices that were expanded by then; and not in a transaction that writes, as a view
        // would take what that one writes later for known.
        if let Err(error) = refresh(&mut conn, &mut views, &backfills).await {
            views.clear();
            return Err(error);
        }
        drop(conn);
        let expanding = backfills.iter().filter(|backfill| !backfill.paused && backfill.is_unfinished());
        let parts = backfill_parts(views.values(), &expanding.map(|backfill| backfill.id).collect());
        let (mut done, mut last_error) = (0, None);
        for backfill in backfills {
            let id = backfill.id;
            match self.carry_on(pool, backfill, &views, parts.get(&id)).await {
                Ok(count) => done += count,
                Err(error) => {
                    tracing::warn!(backfill.id = %id, %error, "a backfill could not be carried on; it is tried again");
                    last_error = Some(error);
                }
            }
        }
        last_error.map_or(Ok(done), Err)
    }

    async fn carry_on(
        &self,
        pool: &PgPool,
        mut open: OpenBackfill,
        views: &HashMap<String, QueueView>,
        parts: Option<&HashMap<Uuid, BackfillPart>>,
    ) -> Result<u64> {
        let view = |queue: &String| views.get(queue);
        let mut counts = StateCounts::default();
        open.queues.iter().filter_map(view).for_each(|view| counts.add(&view.backfill(open.id)));
        let live = counts.live().unsigned_abs();
        let now = open.queues.iter().filter_map(view).map(QueueView::now).max();
        let slots = open
            .queues
            .iter()
            .filter_map(view)
            .map(QueueView::worker_capacity)
            .max()
            .unwrap_or(0)
            .unsigned_abs();
        let mut done = 0;
        if open.cancelled {
            done += backfill::cancel_batch(pool, open.id).await?;
        } else {
            if open.retrying {
                done += backfill::retry_batch(pool, open.id).await?;
            }
            if open.sampled_at.is_none_or(|at| now.is_some_and(|now| now - at >= Sample::INTERVAL)) {
                let slices = backfill::done_slices(open.examined(), open.skipped, open.jobs, live);
                backfill::save_sample(pool, open.id, slices).await?;
            }
            let slices = self.slices.iter().find(|slices| slices.knows(&open.kind));
            if let Some(slices) = slices.filter(|_| !open.paused && open.is_unfinished()) {
                let size = (2 * slots).clamp(MIN_WINDOW, MAX_WINDOW);
                let window = SliceWindow::new(&open, parts, size);
                return Ok(done + fill(pool, slices.as_ref(), &mut open, window).await?);
            }
        }
        let is_expanded = open.cancelled || !open.is_unfinished();
        if is_expanded && live == 0 && done == 0 {
            done += u64::from(backfill::finish(pool, open.id, open.next_slice, counts).await?);
        }
        Ok(done)
    }
}

/// Expands the backfill until its window is full: first the tenants that are behind, then the
/// others.
async fn fill(
    pool: &PgPool,
    slices: &dyn Slices,
    open: &mut OpenBackfill,
    mut window: SliceWindow,
) -> Result<u64> {
    let mut done = 0;
    for _ in 0..MAX_TRANSACTIONS {
        let examined =
            backfill::catch_up(pool, slices, open, &mut window, MAX_SLICES_PER_TRANSACTION).await?;
        done += examined;
        if examined == 0 {
            break;
        }
    }
    if !window.is_worth_filling() {
        return Ok(done);
    }
    let first = open.next_slice;
    for _ in 0..MAX_TRANSACTIONS {
        let limit = window.free().min(MAX_SLICES_PER_TRANSACTION).saturating_as::<usize>();
        if limit == 0 || open.next_slice == open.total {
            break;
        }
        if !backfill::expand(pool, slices, open, &mut window, limit).await? {
            break;
        }
    }
    Ok(done + open.next_slice - first)
}

/// Refreshes the views of the queues that the backfills use; drops the others.
async fn refresh(
    conn: &mut PgConnection,
    views: &mut HashMap<String, QueueView>,
    backfills: &[OpenBackfill],
) -> Result<()> {
    views.retain(|queue, _| backfills.iter().any(|backfill| backfill.queues.contains(queue)));
    let queues: BTreeSet<&String> = backfills.iter().flat_map(|backfill| &backfill.queues).collect();
    for queue in queues {
        match views.entry(queue.clone()) {
            Entry::Occupied(mut view) => view.get_mut().refresh(conn).await?,
            Entry::Vacant(entry) => drop(entry.insert(QueueView::open(conn, queue).await?)),
        }
    }
    Ok(())
}
