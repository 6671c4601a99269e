//! Keeps backfills going: a bounded number of their slices on their way, failed jobs revived, cancels carried out,
//! the end noted.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use sqlx::{PgConnection, PgPool};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::backfill::{self, Room, Sample, Slices, Window};
use crate::error::Result;
use crate::job::state::StateCounts;
use crate::lanes::Book;
use crate::lanes::progress::{self, Part};

/// Slices of a backfill's tenants that make headway that are on their way: twice what the fleet runs at once, but within
/// these.
const LEAST_WINDOW: u64 = 500;
const MOST_WINDOW: u64 = 2_000;

/// Most slices that become jobs in one transaction.
const STEP: u64 = 500;

/// Transactions of one backfill before the next one has its turn.
const STEPS: usize = 20;

/// Expands backfills. Safe on every host at once; keeps the books of their queues between its turns.
pub struct Expander {
    slices: Vec<Arc<dyn Slices>>,
    books: Mutex<HashMap<String, Book>>,
}

impl fmt::Debug for Expander {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expander").finish_non_exhaustive()
    }
}

impl Expander {
    /// Expands the backfills that one of `slices` knows, into what the first that does says.
    pub fn new(slices: Vec<Arc<dyn Slices>>) -> Self {
        Self { slices, books: Mutex::default() }
    }

    /// Does what is due for each backfill that is not over; returns how much: slices looked at, jobs stopped or
    /// revived.
    ///
    /// # Errors
    /// The last one there was; one backfill's error does not keep the others from their turn.
    pub async fn run_once(&self, pool: &PgPool) -> Result<u64> {
        let mut books = self.books.lock().await;
        let mut conn = pool.acquire().await?;
        let windows = backfill::look(&mut conn).await?;
        // After the look, so that the books hold every job of the slices it saw. Not within a transaction that writes,
        // as a book would take what that one writes later for seen.
        if let Err(error) = refresh(&mut conn, &mut books, &windows).await {
            books.clear();
            return Err(error);
        }
        drop(conn);
        let expanding = windows.iter().filter(|window| !window.paused && window.is_unfinished());
        let parts = progress::of_all(books.values(), &expanding.map(|window| window.id).collect());
        let (mut done, mut last_error) = (0, None);
        for window in windows {
            let id = window.id;
            match self.step(pool, window, &books, parts.get(&id)).await {
                Ok(count) => done += count,
                Err(error) => {
                    tracing::warn!(backfill.id = %id, %error, "a backfill cannot go on; trying again");
                    last_error = Some(error);
                }
            }
        }
        last_error.map_or(Ok(done), Err)
    }

    async fn step(
        &self,
        pool: &PgPool,
        mut window: Window,
        books: &HashMap<String, Book>,
        parts: Option<&HashMap<Uuid, Part>>,
    ) -> Result<u64> {
        let of = |queue: &String| books.get(queue);
        let mut counts = StateCounts::default();
        window.queues.iter().filter_map(of).for_each(|book| counts.add(&book.backfill(window.id)));
        let live = counts.live().unsigned_abs();
        let now = window.queues.iter().filter_map(of).map(Book::now).max();
        let slots = window.queues.iter().filter_map(of).map(Book::slots).max().unwrap_or(0).unsigned_abs();
        let mut done = 0;
        if window.cancelled {
            done += backfill::cancel_some(pool, window.id).await?;
        } else {
            if window.retrying {
                done += backfill::retry_some(pool, window.id).await?;
            }
            if window.sampled_at.is_none_or(|at| now.is_some_and(|now| now - at >= Sample::EVERY)) {
                let slices = backfill::done(window.looked_at(), window.skipped, window.jobs, live);
                backfill::sample(pool, window.id, slices).await?;
            }
            let slices = self.slices.iter().find(|slices| slices.knows(&window.kind));
            if let Some(slices) = slices.filter(|_| !window.paused && window.is_unfinished()) {
                let size = (2 * slots).clamp(LEAST_WINDOW, MOST_WINDOW);
                let room = Room::new(&window, parts, size);
                return Ok(done + fill(pool, slices.as_ref(), &mut window, room).await?);
            }
        }
        let over = window.cancelled || !window.is_unfinished();
        if over && live == 0 && done == 0 {
            done += u64::from(backfill::finish(pool, window.id, window.next_slice, counts).await?);
        }
        Ok(done)
    }
}

/// Expands until there is no more room: at first tenants that are behind, then those that are not.
async fn fill(pool: &PgPool, slices: &dyn Slices, window: &mut Window, mut room: Room) -> Result<u64> {
    let mut done = 0;
    for _ in 0..STEPS {
        let looked_at = backfill::catch_up(pool, slices, window, &mut room, STEP).await?;
        done += looked_at;
        if looked_at == 0 {
            break;
        }
    }
    if !room.is_worth_it() {
        return Ok(done);
    }
    let first = window.next_slice;
    for _ in 0..STEPS {
        let most = usize::try_from(room.in_all().min(STEP)).unwrap_or(1);
        if most == 0 || window.next_slice == window.total {
            break;
        }
        if !backfill::expand(pool, slices, window, &mut room, most).await? {
            break;
        }
    }
    Ok(done + window.next_slice - first)
}

/// Reads on in the books of the queues in use; drops the others.
async fn refresh(
    conn: &mut PgConnection,
    books: &mut HashMap<String, Book>,
    windows: &[Window],
) -> Result<()> {
    books.retain(|queue, _| windows.iter().any(|window| window.queues.contains(queue)));
    let queues: BTreeSet<&String> = windows.iter().flat_map(|window| &window.queues).collect();
    for queue in queues {
        match books.entry(queue.clone()) {
            Entry::Occupied(mut book) => book.get_mut().refresh(conn).await?,
            Entry::Vacant(place) => drop(place.insert(Book::open(conn, queue).await?)),
        }
    }
    Ok(())
}
