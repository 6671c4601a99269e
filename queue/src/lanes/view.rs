//! One worker's view of a queue: what waits and runs in each lane, and what each may start, as of a
//! snapshot of the database.

mod apply;
pub(crate) mod checkpoint;
mod refresh;
mod reschedule;

use std::cmp::Reverse;
use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::job::state::{JobState, StateCounts};
use crate::lanes::log::Snapshot;
use crate::lanes::priority_level::PriorityLevel;
use crate::lanes::ready_set::ReadySet;
use crate::lanes::settings::QueueSettings;
use crate::lanes::sublane::{Lane, SubLane, SubLaneId};

/// What one worker knows of a queue: the jobs in each lane by state, the settings, and what may
/// start next, as of a snapshot of the database.
#[derive(Debug, Default)]
pub struct QueueView {
    pub(crate) queue: String,
    /// The history of the database that the view belongs to.
    pub(crate) history: Uuid,
    /// When the server's process was started that the view was read from. A server that crashed
    /// gives out again the transaction ids that it had not written down.
    pub(crate) server_started: DateTime<Utc>,
    /// A connection broke while it was used for the view: the next refresh opens the view anew, as
    /// what was visible on that connection may be gone.
    must_reopen: bool,
    /// Workers of another history may still run what they claimed in it: nobody claims until they
    /// have ended.
    pub(crate) awaits_lost_workers: bool,
    /// The snapshot of the last refresh.
    pub(crate) snapshot: Snapshot,
    /// The database's time at the last refresh.
    pub(crate) now: DateTime<Utc>,
    /// The last claim sequence number that was taken.
    pub(crate) claim_seq: i64,
    pub(crate) settings: QueueSettings,
    /// Whether `settings` were read since the view was opened.
    knows_settings: bool,
    /// The virtual times `V` of start-time fair queueing, of live work and of backfills: the start
    /// tag of what started last.
    pub(crate) virtual_times: [f64; 2],
    /// The theoretical arrival time (TAT) of the queue's own rate.
    pub(crate) queue_tat: Option<DateTime<Utc>>,
    /// The jobs of the queue that run.
    pub(crate) running: i64,
    /// The lanes that have, or had, jobs; by tenant.
    pub(crate) lanes: HashMap<Uuid, Lane>,
    pub(crate) sublanes: HashMap<SubLaneId, SubLane>,
    /// The jobs of each backfill.
    backfills: HashMap<Uuid, StateCounts>,
    pub(crate) ready_set: ReadySet,
    /// How many jobs the live workers of the queue can run at once, as of `worker_capacity_at`. It
    /// is kept only while there are backfills.
    worker_capacity: i64,
    worker_capacity_at: DateTime<Utc>,
    /// All claims before this claim sequence number are acknowledged, as of `oldest_claim_at`.
    pub(crate) oldest_claim: i64,
    oldest_claim_at: DateTime<Utc>,
    /// High-water mark: the `seq` after the last that was claimed in any lane.
    high_water: i64,
    /// The same when the view was opened: jobs of levels that it does not know may have been
    /// claimed up to here.
    initial_high_water: i64,
    /// Rows of the log that were read since the last checkpoint.
    rows_since_checkpoint: u64,
}

impl QueueView {
    /// The queue.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// The database's time at the last refresh.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// The settings that apply now.
    pub fn settings(&self) -> &QueueSettings {
        &self.settings
    }

    /// The snapshot of the last refresh: the view holds all that is visible in it.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Rows of the log that it has read since the last checkpoint, which whoever opens a view reads
    /// too.
    pub fn rows_since_checkpoint(&self) -> u64 {
        self.rows_since_checkpoint
    }

    /// Jobs that the live workers of the queue can run at once.
    pub(crate) fn worker_capacity(&self) -> i64 {
        self.worker_capacity
    }

    /// The jobs of a backfill in this queue.
    pub fn backfill(&self, id: Uuid) -> StateCounts {
        self.backfills.get(&id).copied().unwrap_or_default()
    }

    /// Every count that is not zero, with its sub-lane, priority and state.
    pub(crate) fn counts(&self) -> impl Iterator<Item = ((SubLaneId, i16, JobState), i64)> {
        self.sublanes.iter().flat_map(|(id, sublane)| {
            let counts = sublane.counts.iter().filter(|(_, count)| **count != 0);
            counts.map(|((priority, state), count)| {
                ((*id, *priority, JobState::ALL[usize::from(*state)]), *count)
            })
        })
    }

    /// The virtual time `V` that counts for a sub-lane.
    pub(crate) fn virtual_time(&self, id: SubLaneId) -> f64 {
        self.virtual_times[usize::from(id.backfill.is_some())]
    }

    /// A level that the view knows.
    pub(crate) fn level(&self, id: SubLaneId, priority: i16) -> Option<&PriorityLevel> {
        self.sublanes.get(&id)?.levels.get(&Reverse(priority))
    }

    /// Removes requeued jobs of a level: they are claimed, or not available any more.
    pub(crate) fn remove_requeued<'a>(
        &mut self,
        id: SubLaneId,
        priority: i16,
        seqs: impl Iterator<Item = &'a i64>,
    ) {
        if let Some(level) = self.known_level_mut(id, priority) {
            for seq in seqs {
                level.requeued.remove(seq);
            }
        }
    }

    /// Moves the cursor of a level on: somebody read the level up to there.
    pub(crate) fn advance(&mut self, id: SubLaneId, priority: i16, cursor: i64) {
        if let Some(level) = self.known_level_mut(id, priority) {
            level.advance(cursor);
        }
    }

    /// Nobody has claimed a job with this `seq` or a higher one.
    pub(crate) fn set_high_water(&mut self, seq: i64) {
        (self.high_water, self.initial_high_water) = (seq, seq);
    }

    /// A sub-lane, which is added if the view does not know it yet.
    pub(crate) fn sublane_mut(&mut self, id: SubLaneId) -> &mut SubLane {
        self.sublanes.entry(id).or_insert_with(|| {
            self.lanes.entry(id.tenant).or_default().sublanes.push(id);
            SubLane::default()
        })
    }

    fn known_level_mut(&mut self, id: SubLaneId, priority: i16) -> Option<&mut PriorityLevel> {
        self.sublanes.get_mut(&id)?.levels.get_mut(&Reverse(priority))
    }

    fn level_mut(&mut self, id: SubLaneId, priority: i16) -> &mut PriorityLevel {
        let high_water = self.initial_high_water;
        let levels = &mut self.sublane_mut(id).levels;
        levels.entry(Reverse(priority)).or_insert_with(|| PriorityLevel::empty(high_water))
    }
}
