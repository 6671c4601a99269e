//! One host's picture of a queue: what waits and runs in each lane, and what each may start.

mod level;
mod saved;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::{QueueError, Result};
use crate::job::state::{JobState, StateCounts};
use crate::lanes::limits::{self, Settings};
use crate::lanes::log::{self, Count, News, Seen, Turn};
use crate::lanes::places::Places;

pub(crate) use level::Level;
use level::in_order;

/// The jobs of a lane that are scheduled together: its live work, or its part of one backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct FlowId {
    pub(crate) tenant: Uuid,
    pub(crate) backfill: Option<Uuid>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Flow {
    /// What may start, by priority, highest first.
    pub(crate) levels: BTreeMap<Reverse<i16>, Level>,
    /// Jobs by priority and state.
    pub(crate) counts: BTreeMap<(i16, u8), i64>,
    /// Finish tag of its last start.
    pub(crate) tag: f64,
}

impl Flow {
    fn is_empty(&self) -> bool {
        self.counts.values().all(|count| *count == 0)
    }
}

/// What the flows of a tenant share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lane {
    pub(crate) tat: Option<DateTime<Utc>>,
    pub(crate) running: i64,
    pub(crate) flows: Vec<FlowId>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Book {
    pub(crate) queue: String,
    /// The history of the database that it is of.
    pub(crate) history: Uuid,
    /// The server's process that it was read from: one that crashed gives the ids anew that it had not written down.
    pub(crate) server: DateTime<Utc>,
    /// A connection broke: the next refresh begins anew, as what was seen on it may be gone.
    begins_anew: bool,
    /// Workers of another history may still run what they claimed in it: nobody claims until they have ended.
    pub(crate) awaits_lost_workers: bool,
    pub(crate) seen: Seen,
    pub(crate) now: DateTime<Utc>,
    /// The last turn that was taken.
    pub(crate) no: i64,
    pub(crate) settings: Settings,
    settings_turn: Option<i64>,
    /// Of live work, and of backfills.
    pub(crate) virtual_times: [f64; 2],
    pub(crate) queue_tat: Option<DateTime<Utc>>,
    pub(crate) running: i64,
    pub(crate) lanes: HashMap<Uuid, Lane>,
    pub(crate) flows: HashMap<FlowId, Flow>,
    /// The jobs of each backfill.
    backfills: HashMap<Uuid, StateCounts>,
    pub(crate) places: Places,
    /// Jobs that the live workers of the queue can run at once, as of `slots_at`; only kept while backfills are there.
    pub(crate) slots: i64,
    slots_at: DateTime<Utc>,
    /// Claims before this turn are worked off, as of `claims_at`.
    pub(crate) oldest_claim: i64,
    claims_at: DateTime<Utc>,
    /// The seq after the last that was claimed in any lane.
    fresh: i64,
    /// The same as of when this book was begun: what it says nothing of may have been claimed up to here.
    fresh_before: i64,
    read: u64,
}

impl Book {
    /// A book that was not looked into for longer begins anew; the log is kept for twice as long.
    pub(crate) const MAX_AGE: TimeDelta = TimeDelta::minutes(5);

    /// The picture of `queue` as of now.
    pub async fn open(conn: &mut PgConnection, queue: &str) -> Result<Self> {
        let mut book = Self::reopen(conn, queue).await?;
        book.refresh(conn).await?;
        Ok(book)
    }

    async fn reopen(conn: &mut PgConnection, queue: &str) -> Result<Self> {
        let book = log::load(conn, queue).await?;
        Ok(Self { awaits_lost_workers: true, ..book })
    }

    /// Reads what happened since the last look, on all hosts.
    pub async fn refresh(&mut self, conn: &mut PgConnection) -> Result<()> {
        let mut news = log::news(conn, &self.queue, &self.seen).await?;
        let too_old = self.seen.xmax > 0 && (news.now - self.now).abs() > Self::MAX_AGE;
        let mut anew = too_old || self.begins_anew;
        while anew || (news.history, news.server) != (self.history, self.server) {
            *self = Self::reopen(conn, &self.queue).await?;
            news = log::news(conn, &self.queue, &self.seen).await?;
            anew = false;
        }
        if news.seen.xmax < self.seen.xmax {
            let (seen, is) = (self.seen.xmax, news.seen.xmax);
            return Err(QueueError::WentBack { history: self.history, seen, is });
        }
        if self.awaits_lost_workers {
            self.awaits_lost_workers = log::lost_workers(conn, self.history).await?;
        }
        // Read after the turns: a later turn's settings may be in them already, an earlier one's are never missed.
        let changed = self.settings_turn.is_none() || news.turns.iter().any(|turn| turn.worker.is_none());
        let settings = if changed { Some(limits::settings(conn, &self.queue).await?) } else { None };
        if !self.backfills.is_empty() && (news.now - self.slots_at).abs() > TimeDelta::seconds(2) {
            self.slots = log::slots(conn, &self.queue).await?;
            self.slots_at = news.now;
        }
        if (news.now - self.claims_at).abs() > TimeDelta::seconds(1) {
            let last = news.turns.iter().map(|turn| turn.no).max().unwrap_or_default().max(self.no);
            self.oldest_claim = log::oldest_claim(conn, &self.queue, self.oldest_claim, last + 1).await?;
            self.claims_at = news.now;
        }
        // From here on nothing is waited for: what was read is taken whole, or not at all.
        self.take(&news);
        if let Some(settings) = settings {
            self.set(settings);
        }
        Ok(())
    }

    /// A connection broke on which it was read.
    pub(crate) fn begin_anew(&mut self) {
        self.begins_anew = true;
    }

    /// Log rows that it read beyond the book it began with, or that was written down of it since.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Others begin from here.
    pub(crate) fn written(&mut self) {
        self.read = 0;
    }

    /// What it holds, as of the last look.
    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// The queue.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// The settings that apply now.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn set(&mut self, settings: Settings) {
        self.settings = settings;
        self.settings_turn = Some(self.no);
        self.replace_all();
    }

    fn take(&mut self, news: &News) {
        self.seen = news.seen.clone();
        self.now = news.now;
        self.read += (news.turns.len() + news.counts.len()) as u64;
        for turn in &news.turns {
            self.take_turn(turn);
        }
        for (count, known) in in_order(news, self.no) {
            self.count(count, known);
        }
        // Only now, as counts of one look come in no order.
        for count in &news.counts {
            self.rewind(count);
        }
        for count in &news.counts {
            if count.state == JobState::Running {
                // Room that one flow of a lane gives back is room for each of them.
                self.replace_lane(count.tenant);
            } else {
                self.replace(FlowId { tenant: count.tenant, backfill: count.backfill });
            }
        }
        self.replace_due();
    }

    fn take_turn(&mut self, turn: &Turn) {
        self.no = self.no.max(turn.no);
        if turn.worker.is_none() {
            return;
        }
        for (time, of_turn) in self.virtual_times.iter_mut().zip(turn.virtual_times) {
            *time = time.max(of_turn);
        }
        self.queue_tat = turn.queue_tat.or(self.queue_tat);
        for flow in &turn.flows {
            let id = FlowId { tenant: flow.tenant, backfill: flow.backfill };
            self.flow(id).tag = flow.tag;
            if flow.tat.is_some() {
                self.lanes.entry(flow.tenant).or_default().tat = flow.tat;
            }
        }
        for flow in &turn.flows {
            self.replace_lane(flow.tenant);
        }
    }

    /// `known`: the last turn whose next one may not have known of it.
    pub(crate) fn count(&mut self, count: &Count, known: i64) {
        let id = FlowId { tenant: count.tenant, backfill: count.backfill };
        let flow = self.flow(id);
        *flow.counts.entry((count.priority, count.state as u8)).or_default() += count.change;
        if let Some(backfill) = count.backfill {
            self.backfills.entry(backfill).or_default().change(count.state, count.change);
        }
        match count.state {
            JobState::Available => {
                let level = self.level_mut(id, count.priority);
                level.available += count.change;
                if let Some(lowest) = count.lowest {
                    level.came(lowest, count.returned, known);
                }
            }
            JobState::Running => {
                self.running += count.change;
                self.lanes.entry(count.tenant).or_default().running += count.change;
                if let Some(claimed) = count.claimed {
                    self.fresh = self.fresh.max(claimed.past);
                    self.level_mut(id, count.priority).claimed(claimed);
                }
            }
            _ => {}
        }
    }

    /// Where nothing is available, the cursor waits for what comes next.
    fn rewind(&mut self, count: &Count) {
        let id = FlowId { tenant: count.tenant, backfill: count.backfill };
        let levels = self.flows.get_mut(&id).map(|flow| &mut flow.levels);
        if let Some(level) = levels.and_then(|levels| levels.get_mut(&Reverse(count.priority)))
            && level.available == 0
        {
            *level = Level::empty(level.fresh);
        }
    }

    /// Every count that is not zero.
    pub(crate) fn counts(&self) -> impl Iterator<Item = ((Uuid, Option<Uuid>, i16, JobState), i64)> {
        self.flows.iter().flat_map(|(id, flow)| {
            let counts = flow.counts.iter().filter(|(_, count)| **count != 0);
            counts.map(|((priority, state), count)| {
                ((id.tenant, id.backfill, *priority, JobState::ALL[usize::from(*state)]), *count)
            })
        })
    }

    /// From which `seq` on claims read jobs of this tenant, backfill and priority, and which before that they ask for.
    pub(crate) fn begins(&self, (tenant, backfill, priority): (Uuid, Option<Uuid>, i16)) -> (i64, Vec<i64>) {
        let flow = self.flows.get(&FlowId { tenant, backfill });
        let level = flow.and_then(|flow| flow.levels.get(&Reverse(priority)));
        level.map_or((i64::MAX, Vec::new()), |level| (level.from, level.strays.iter().copied().collect()))
    }

    /// The jobs of a backfill in this queue.
    pub fn backfill(&self, id: Uuid) -> StateCounts {
        self.backfills.get(&id).copied().unwrap_or_default()
    }

    /// Jobs that the live workers of the queue can run at once.
    pub(crate) fn slots(&self) -> i64 {
        self.slots
    }

    /// The virtual time that counts for a flow.
    pub(crate) fn virtual_time(&self, id: FlowId) -> f64 {
        self.virtual_times[usize::from(id.backfill.is_some())]
    }

    /// Strays that are not behind the cursor any more.
    pub(crate) fn forget_strays<'a>(
        &mut self,
        flow: FlowId,
        priority: i16,
        strays: impl Iterator<Item = &'a i64>,
    ) {
        let level = self.flows.get_mut(&flow).and_then(|flow| flow.levels.get_mut(&Reverse(priority)));
        if let Some(level) = level {
            for seq in strays {
                level.strays.remove(seq);
            }
        }
    }

    /// A claim read a lane up to here.
    pub(crate) fn advance(&mut self, flow: FlowId, priority: i16, cursor: i64) {
        let level = self.flows.get_mut(&flow).and_then(|flow| flow.levels.get_mut(&Reverse(priority)));
        if let Some(level) = level
            && cursor > level.from
        {
            // It took those that came back on this way.
            let behind: Vec<i64> = level.strays.range(level.from..cursor).copied().collect();
            for seq in behind {
                level.strays.remove(&seq);
            }
            level.from = cursor;
        }
    }

    fn level_mut(&mut self, id: FlowId, priority: i16) -> &mut Level {
        let fresh = self.fresh_before;
        self.flow(id).levels.entry(Reverse(priority)).or_insert_with(|| Level::empty(fresh))
    }

    /// Nobody has claimed a job with this `seq` or a higher one.
    pub(crate) fn claimed_up_to(&mut self, seq: i64) {
        (self.fresh, self.fresh_before) = (seq, seq);
    }

    pub(crate) fn flow(&mut self, id: FlowId) -> &mut Flow {
        self.flows.entry(id).or_insert_with(|| {
            self.lanes.entry(id.tenant).or_default().flows.push(id);
            Flow::default()
        })
    }
}
