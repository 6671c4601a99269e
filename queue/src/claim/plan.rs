//! The plan of a claim: how many jobs of which lanes are next.
//!
//! Lanes are served by start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queueing",
//! SIGCOMM 1996), as [`ready_set`](crate::lanes::ready_set) describes it: the sub-lane with the
//! lowest start tag starts next. How many starts a rate allows is counted by GCRA
//! ([`gcra`](crate::lanes::gcra)).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use az::SaturatingAs;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::job::state::JobState;
use crate::lanes::gcra::Gcra;
use crate::lanes::ready_set::StartTag;
use crate::lanes::sublane::SubLaneId;
use crate::lanes::view::QueueView;

/// How many jobs a worker can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// In all.
    pub jobs: usize,
    /// Of live work, at most.
    pub live: usize,
    /// Permits that are free: backfills get what live work leaves of them.
    pub backfill: usize,
}

impl Capacity {
    /// Capacity for `jobs` of any sort.
    pub fn of(jobs: usize) -> Self {
        Self { jobs, live: jobs, backfill: jobs }
    }
}

/// The most requeued jobs of a level that one claim searches for: more than it fetches, as some may
/// be gone.
const MAX_REQUEUED: usize = 1_000;

/// Jobs of one sub-lane and priority that a claim is to fetch.
#[derive(Debug, Clone)]
pub(crate) struct Fetch {
    pub(crate) sublane: SubLaneId,
    pub(crate) priority: i16,
    /// The `seq` from which the claim reads the level.
    pub(crate) cursor: i64,
    /// Nobody has claimed a job with this `seq` or a higher one.
    pub(crate) high_water: i64,
    /// How many jobs to fetch.
    pub(crate) count: i64,
    /// The `seq`s of requeued jobs before the cursor, which are fetched first.
    pub(crate) requeued: Vec<i64>,
}

/// What the claim leaves a sub-lane with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LaneUpdate {
    pub(crate) sublane: SubLaneId,
    /// The finish tag `F` of its last start (start-time fair queueing).
    pub(crate) finish_tag: f64,
    /// The theoretical arrival time (TAT) of its lane before the claim (GCRA).
    pub(crate) tat: Option<DateTime<Utc>>,
    /// Microseconds that the claim's starts add to the TAT; 0 without a rate.
    pub(crate) adds_us: i64,
}

/// What one claim asks the database to do.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) fetches: Vec<Fetch>,
    pub(crate) updates: Vec<LaneUpdate>,
    /// The virtual times `V` that the claim leaves, of live work and of backfills.
    pub(crate) virtual_times: [f64; 2],
    /// Microseconds that the claim's starts add to the TAT of the queue's own rate; 0 without one.
    pub(crate) queue_adds_us: i64,
}

/// What the plan grants a sub-lane so far.
#[derive(Default)]
struct Grant {
    jobs: i64,
    /// The finish tag of the last of these jobs.
    finish_tag: f64,
}

/// A plan in the making. The view stays as it is: only the log changes it.
struct Planner<'a> {
    view: &'a QueueView,
    grants: HashMap<SubLaneId, Grant>,
    /// The sub-lanes that have a grant, in the order of their first start.
    order: Vec<SubLaneId>,
    /// Jobs granted to each lane, by tenant.
    lane_jobs: HashMap<Uuid, i64>,
    /// Jobs granted to each backfill.
    backfill_jobs: HashMap<Uuid, i64>,
    virtual_times: [f64; 2],
    /// How many more jobs the worker and the limits of the queue allow.
    remaining: i64,
}

impl QueueView {
    /// The plan for the next jobs that there is `capacity` for; none when nothing may start.
    pub(crate) fn plan(&self, capacity: Capacity) -> Option<Plan> {
        if self.queue_blocked().is_some() || self.awaits_lost_workers {
            return None;
        }
        let limits = self.settings.queue;
        let mut remaining = capacity.jobs.saturating_as::<i64>();
        if let Some(max_running) = limits.max_running {
            remaining = remaining.min(i64::from(max_running) - self.running);
        }
        if let Some(rate) = limits.rate {
            remaining = remaining.min(Gcra::new(rate).allowed(self.queue_tat, self.now));
        }
        let mut planner = Planner {
            view: self,
            grants: HashMap::new(),
            order: Vec::new(),
            lane_jobs: HashMap::new(),
            backfill_jobs: HashMap::new(),
            virtual_times: self.virtual_times,
            remaining,
        };
        let live_work_is_left =
            planner.grant(self.ready_set.live(), capacity.live.saturating_as::<i64>(), None);
        let unused = capacity.backfill.saturating_as::<i64>() - planner.lane_jobs.values().sum::<i64>();
        let shared = live_work_is_left.then_some(self.worker_capacity());
        planner.grant(self.ready_set.backfill(), unused.max(0), shared);
        planner.finish()
    }
}

impl Planner<'_> {
    /// Grants starts to sub-lanes, lowest start tag first, and returns whether one is left that
    /// could start more. If `shared` is set, a backfill runs no more jobs than its share of that
    /// capacity.
    fn grant(
        &mut self,
        mut ready: impl Iterator<Item = (StartTag, SubLaneId)>,
        capacity: i64,
        shared: Option<i64>,
    ) -> bool {
        let mut capacity = capacity;
        // Sub-lanes that were granted starts and may have more, by the start tags of their next
        // ones.
        let mut continued = BinaryHeap::<Reverse<(StartTag, SubLaneId)>>::new();
        let mut next_ready = ready.next();
        loop {
            let next_continued = continued.peek().map(|Reverse(entry)| *entry);
            let (tag, id) = match (next_ready, next_continued) {
                (Some(a), Some(b)) if a <= b => a,
                (Some(a), None) => a,
                (_, Some(b)) => b,
                (None, None) => return false,
            };
            if Some((tag, id)) == next_continued {
                continued.pop();
            } else {
                next_ready = ready.next();
            }
            let allowed = self.allowed(id, shared);
            if allowed == 0 {
                continue;
            }
            if capacity.min(self.remaining) == 0 {
                return true;
            }
            // It starts jobs until another sub-lane has the lowest start tag; the last one for as
            // long as it may.
            let weight = self.view.settings.lane_limits(id.tenant).weight.max(f64::MIN_POSITIVE);
            let next = match (next_ready, continued.peek()) {
                (Some(a), Some(Reverse(b))) => Some(a.min(*b)),
                (a, b) => a.or(b.map(|Reverse(entry)| *entry)),
            };
            let in_a_row = next.map_or(i64::MAX, |(next, _)| 1 + starts_between(tag.0, next.0, weight));
            let jobs = in_a_row.min(allowed).min(capacity).min(self.remaining);
            capacity -= jobs;
            let finish_tag = self.record(id, tag.0, jobs, weight);
            continued.push(Reverse((StartTag(finish_tag), id)));
        }
    }

    /// How many more jobs of a sub-lane may start.
    fn allowed(&self, id: SubLaneId, shared: Option<i64>) -> i64 {
        let view = self.view;
        let sublane = &view.sublanes[&id];
        let granted = self.grants.get(&id).map_or(0, |grant| grant.jobs);
        let backlog = sublane.levels.values().map(|level| level.available.max(0)).sum::<i64>();
        let mut allowed = backlog - granted;
        let lane = &view.lanes[&id.tenant];
        let lane_jobs = self.lane_jobs.get(&id.tenant).copied().unwrap_or_default();
        let limits = view.settings.lane_limits(id.tenant);
        if let Some(max_running) = limits.max_running {
            allowed = allowed.min(i64::from(max_running) - lane.running - lane_jobs);
        }
        if let Some(rate) = limits.rate {
            allowed = allowed.min(Gcra::new(rate).allowed(lane.tat, view.now) - lane_jobs);
        }
        if let Some(backfill) = id.backfill {
            let running = view.backfill(backfill).of(JobState::Running)
                + self.backfill_jobs.get(&backfill).copied().unwrap_or_default();
            let settings = view.settings.backfills.get(&backfill);
            if let Some(max_running) = settings.and_then(|settings| settings.max_running) {
                allowed = allowed.min(i64::from(max_running) - running);
            }
            if let Some(capacity) = shared {
                let share = settings.map_or(1.0, |settings| settings.share);
                allowed = allowed.min(share_of(capacity, share) - running);
            }
        }
        allowed.max(0)
    }

    /// Records that `jobs` of a sub-lane start from the start tag `start` on; returns the finish
    /// tag that they leave.
    fn record(&mut self, id: SubLaneId, start: f64, jobs: i64, weight: f64) -> f64 {
        let per_job = 1.0 / weight;
        // The virtual time is the start tag of what started last.
        let time = &mut self.virtual_times[usize::from(id.backfill.is_some())];
        *time = time.max(start + to_f64(jobs - 1) * per_job);
        self.remaining -= jobs;
        *self.lane_jobs.entry(id.tenant).or_default() += jobs;
        if let Some(backfill) = id.backfill {
            *self.backfill_jobs.entry(backfill).or_default() += jobs;
        }
        let grant = self.grants.entry(id).or_insert_with(|| {
            self.order.push(id);
            Grant::default()
        });
        grant.jobs += jobs;
        grant.finish_tag = start + to_f64(jobs) * per_job;
        grant.finish_tag
    }

    /// The plan, unless it grants nothing.
    fn finish(self) -> Option<Plan> {
        let mut plan = Plan { virtual_times: self.virtual_times, ..Plan::default() };
        for id in &self.order {
            let grant = &self.grants[id];
            let mut jobs = grant.jobs;
            for (Reverse(priority), level) in &self.view.sublanes[id].levels {
                let count = level.available.clamp(0, jobs);
                if count > 0 {
                    plan.fetches.push(Fetch {
                        sublane: *id,
                        priority: *priority,
                        cursor: level.cursor,
                        high_water: level.high_water,
                        count,
                        requeued: level.requeued.range(..level.cursor).copied().take(MAX_REQUEUED).collect(),
                    });
                    jobs -= count;
                }
            }
            let rate = self.view.settings.lane_limits(id.tenant).rate;
            plan.updates.push(LaneUpdate {
                sublane: *id,
                finish_tag: grant.finish_tag,
                tat: self.view.lanes[&id.tenant].tat,
                adds_us: rate.map_or(0, |rate| Gcra::new(rate).interval_us() * self.lane_jobs[&id.tenant]),
            });
        }
        let jobs: i64 = self.lane_jobs.values().sum();
        let rate = self.view.settings.queue.rate;
        plan.queue_adds_us = rate.map_or(0, |rate| Gcra::new(rate).interval_us() * jobs);
        (jobs > 0).then_some(plan)
    }
}

/// A share of a capacity, rounded down. It is at least 1, so that a backfill always progresses.
pub(crate) fn share_of(capacity: i64, share: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a share of a small number")]
    let part = (to_f64(capacity) * share).floor() as i64;
    part.max(1)
}

/// How many further starts of a sub-lane have start tags from `tag` up to `next`.
fn starts_between(tag: f64, next: f64, weight: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "clamped first")]
    let starts = ((next - tag) * weight).floor().clamp(0.0, 1e9) as i64;
    starts
}

#[expect(clippy::cast_precision_loss, reason = "counts of jobs are far below 2^52")]
fn to_f64(count: i64) -> f64 {
    count as f64
}
