//! What a claim asks for: how many jobs of which lanes are next.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::job::state::JobState;
use crate::lanes::book::{Book, FlowId};
use crate::lanes::gcra::Gcra;
use crate::lanes::places::Tag;

/// Jobs that a worker has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// In all.
    pub jobs: usize,
    /// Of these, at most so many of live work.
    pub live: usize,
    /// Slots that nothing uses: backfills get what live work leaves of them.
    pub backfill: usize,
}

impl Room {
    /// Room for `jobs` of any sort.
    pub fn of(jobs: usize) -> Self {
        Self { jobs, live: jobs, backfill: jobs }
    }
}

/// Strays of a level that one claim asks for: more than it wants, as some may be gone.
const MOST_STRAYS: usize = 1_000;

/// Jobs of one flow and priority.
#[derive(Debug, Clone)]
pub(crate) struct Want {
    pub(crate) flow: FlowId,
    pub(crate) priority: i16,
    pub(crate) from: i64,
    /// Nobody has claimed what comes from here on.
    pub(crate) fresh: i64,
    pub(crate) count: i64,
    /// Jobs behind `from` that are asked for first.
    pub(crate) strays: Vec<i64>,
}

/// What the claim leaves a flow with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) flow: FlowId,
    pub(crate) tag: f64,
    /// TAT of its lane before, and what its starts add; 0 without a rate.
    pub(crate) tat: Option<DateTime<Utc>>,
    pub(crate) adds_us: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) wants: Vec<Want>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) virtual_times: [f64; 2],
    pub(crate) queue_adds_us: i64,
}

/// What one claim has given to a flow so far.
#[derive(Default)]
struct Given {
    jobs: i64,
    tag: f64,
}

/// A claim in the making. The book stays as it is: only the log changes it.
struct Planner<'a> {
    book: &'a Book,
    flows: HashMap<FlowId, Given>,
    order: Vec<FlowId>,
    lanes: HashMap<Uuid, i64>,
    backfills: HashMap<Uuid, i64>,
    virtual_times: [f64; 2],
    /// What the queue may still start.
    left: i64,
}

impl Book {
    /// The next jobs that there is room for, none when nothing may start.
    pub(crate) fn plan(&self, room: Room) -> Option<Plan> {
        if self.queue_blocked().is_some() || self.awaits_lost_workers {
            return None;
        }
        let limits = self.settings.queue;
        let mut left = to_i64(room.jobs);
        if let Some(most) = limits.max_running {
            left = left.min(i64::from(most) - self.running);
        }
        if let Some(rate) = limits.rate {
            left = left.min(Gcra::new(rate).allowed(self.queue_tat, self.now));
        }
        let mut planner = Planner {
            book: self,
            flows: HashMap::new(),
            order: Vec::new(),
            lanes: HashMap::new(),
            backfills: HashMap::new(),
            virtual_times: self.virtual_times,
            left,
        };
        let live_waits = planner.give(self.places.live(), to_i64(room.live), None);
        let unused = to_i64(room.backfill) - planner.lanes.values().sum::<i64>();
        let cap = live_waits.then_some(self.slots);
        planner.give(self.places.backfill(), unused.max(0), cap);
        planner.finish()
    }
}

impl Planner<'_> {
    /// Gives starts to flows, lowest start tag first; returns whether one is left that could start more. Of `shared`
    /// slots a backfill gets no more than its share.
    fn give(
        &mut self,
        mut ready: impl Iterator<Item = (Tag, FlowId)>,
        room: i64,
        shared: Option<i64>,
    ) -> bool {
        let mut room = room;
        let mut again = BinaryHeap::<Reverse<(Tag, FlowId)>>::new();
        let mut fresh = ready.next();
        loop {
            let next_again = again.peek().map(|Reverse(entry)| *entry);
            let (tag, id) = match (fresh, next_again) {
                (Some(a), Some(b)) if a <= b => a,
                (Some(a), None) => a,
                (_, Some(b)) => b,
                (None, None) => return false,
            };
            if Some((tag, id)) == next_again {
                again.pop();
            } else {
                fresh = ready.next();
            }
            let allowed = self.allowed(id, shared);
            if allowed == 0 {
                continue;
            }
            if room.min(self.left) == 0 {
                return true;
            }
            // It goes on until the next flow's turn, or alone for as long as it may.
            let weight = self.book.settings.lane(id.tenant).weight.max(f64::MIN_POSITIVE);
            let next = match (fresh, again.peek()) {
                (Some(a), Some(Reverse(b))) => Some(a.min(*b)),
                (a, b) => a.or(b.map(|Reverse(entry)| *entry)),
            };
            let turns = next.map_or(i64::MAX, |(next, _)| 1 + turns_between(tag.0, next.0, weight));
            let jobs = turns.min(allowed).min(room).min(self.left);
            room -= jobs;
            let tag = self.note(id, tag.0, jobs, weight);
            again.push(Reverse((Tag(tag), id)));
        }
    }

    /// How many more jobs of a flow may start.
    fn allowed(&self, id: FlowId, shared: Option<i64>) -> i64 {
        let book = self.book;
        let flow = &book.flows[&id];
        let given = self.flows.get(&id).map_or(0, |given| given.jobs);
        let mut most = flow.levels.values().map(|level| level.available.max(0)).sum::<i64>() - given;
        let lane = &book.lanes[&id.tenant];
        let lane_given = self.lanes.get(&id.tenant).copied().unwrap_or_default();
        let limits = book.settings.lane(id.tenant);
        if let Some(max_running) = limits.max_running {
            most = most.min(i64::from(max_running) - lane.running - lane_given);
        }
        if let Some(rate) = limits.rate {
            most = most.min(Gcra::new(rate).allowed(lane.tat, book.now) - lane_given);
        }
        if let Some(backfill) = id.backfill {
            let running = book.backfill(backfill).of(JobState::Running)
                + self.backfills.get(&backfill).copied().unwrap_or_default();
            let settings = book.settings.backfills.get(&backfill);
            if let Some(max_running) = settings.and_then(|settings| settings.max_running) {
                most = most.min(i64::from(max_running) - running);
            }
            if let Some(slots) = shared {
                let share = settings.map_or(1.0, |settings| settings.share);
                most = most.min(share_of(slots, share) - running);
            }
        }
        most.max(0)
    }

    fn note(&mut self, id: FlowId, start: f64, jobs: i64, weight: f64) -> f64 {
        let per_job = 1.0 / weight;
        // The virtual time is the start tag of what started last.
        let time = &mut self.virtual_times[usize::from(id.backfill.is_some())];
        *time = time.max(start + to_f64(jobs - 1) * per_job);
        self.left -= jobs;
        *self.lanes.entry(id.tenant).or_default() += jobs;
        if let Some(backfill) = id.backfill {
            *self.backfills.entry(backfill).or_default() += jobs;
        }
        let given = self.flows.entry(id).or_insert_with(|| {
            self.order.push(id);
            Given::default()
        });
        given.jobs += jobs;
        given.tag = start + to_f64(jobs) * per_job;
        given.tag
    }

    fn finish(self) -> Option<Plan> {
        let mut plan = Plan { virtual_times: self.virtual_times, ..Plan::default() };
        for id in &self.order {
            let given = &self.flows[id];
            let mut jobs = given.jobs;
            for (Reverse(priority), level) in &self.book.flows[id].levels {
                let count = level.available.clamp(0, jobs);
                if count > 0 {
                    let (from, fresh) = (level.from, level.fresh);
                    let strays = level.strays.range(..from).copied().take(MOST_STRAYS).collect();
                    plan.wants.push(Want { flow: *id, priority: *priority, from, fresh, count, strays });
                    jobs -= count;
                }
            }
            let rate = self.book.settings.lane(id.tenant).rate;
            plan.marks.push(Mark {
                flow: *id,
                tag: given.tag,
                tat: self.book.lanes[&id.tenant].tat,
                adds_us: rate.map_or(0, |rate| Gcra::new(rate).interval_us() * self.lanes[&id.tenant]),
            });
        }
        let jobs: i64 = self.lanes.values().sum();
        let rate = self.book.settings.queue.rate;
        plan.queue_adds_us = rate.map_or(0, |rate| Gcra::new(rate).interval_us() * jobs);
        (jobs > 0).then_some(plan)
    }
}

/// Slots that a share of them is, at least one: a backfill never stands still.
pub(crate) fn share_of(slots: i64, share: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a share of a small number")]
    let part = (to_f64(slots) * share).floor() as i64;
    part.max(1)
}

/// Further turns of a flow until its tag passes that of the next one.
fn turns_between(tag: f64, next: f64, weight: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "clamped first")]
    let turns = ((next - tag) * weight).floor().clamp(0.0, 1e9) as i64;
    turns
}

#[expect(clippy::cast_precision_loss, reason = "counts of jobs are far below 2^52")]
fn to_f64(count: i64) -> f64 {
    count as f64
}

fn to_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
