//! The ready set: the sub-lanes that may start a job, in order of their start tags, and those that
//! are throttled, in order of the time at which they may start again. A sub-lane that may not start
//! for another reason is in neither tree, so that no claim walks over it.
//!
//! Source: start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queueing", SIGCOMM 1996).
//! A start of a sub-lane has the start tag `S = max(V, F)`. `F` is the finish tag of its last
//! start, and `V` is the virtual time, which is the start tag of what started last. The start
//! leaves the finish tag `F = S + 1 / weight`. The sub-lane with the lowest start tag is next.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use crate::lanes::sublane::SubLaneId;

/// The start tag `S` of a sub-lane's next job: a virtual time, with the order that `f64` lacks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StartTag(pub(crate) f64);

impl PartialEq for StartTag {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for StartTag {}

impl PartialOrd for StartTag {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for StartTag {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// When a sub-lane with a backlog may start its next job.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Readiness {
    /// As soon as its start tag is the lowest.
    Ready(StartTag),
    /// When its rate allows it.
    Throttled(DateTime<Utc>),
}

/// The sub-lanes with a backlog that nothing but other lanes or their rate keeps from starting.
#[derive(Debug, Default)]
pub(crate) struct ReadySet {
    entries: HashMap<SubLaneId, Readiness>,
    live: BTreeSet<(StartTag, SubLaneId)>,
    backfill: BTreeSet<(StartTag, SubLaneId)>,
    throttled: BTreeSet<(DateTime<Utc>, SubLaneId)>,
}

impl ReadySet {
    /// Sub-lanes with live work that may start, lowest start tag first.
    pub(crate) fn live(&self) -> impl Iterator<Item = (StartTag, SubLaneId)> {
        self.live.iter().copied()
    }

    /// Sub-lanes of backfills that may start, lowest start tag first.
    pub(crate) fn backfill(&self) -> impl Iterator<Item = (StartTag, SubLaneId)> {
        self.backfill.iter().copied()
    }

    /// The throttled sub-lane that may start first, and when.
    pub(crate) fn first_throttled(&self) -> Option<(DateTime<Utc>, SubLaneId)> {
        self.throttled.first().copied()
    }

    /// Whether a sub-lane is throttled until `at`.
    pub(crate) fn is_throttled_until(&self, at: DateTime<Utc>, id: SubLaneId) -> bool {
        self.throttled.contains(&(at, id))
    }

    /// The start tag of a sub-lane that is ready.
    pub(crate) fn start_tag(&self, id: SubLaneId) -> Option<f64> {
        match self.entries.get(&id) {
            Some(Readiness::Ready(tag)) => Some(tag.0),
            _ => None,
        }
    }

    /// Replaces the entry of a sub-lane; `None` takes it out of both trees.
    pub(crate) fn put(&mut self, id: SubLaneId, readiness: Option<Readiness>) {
        match self.entries.remove(&id) {
            Some(Readiness::Ready(tag)) => drop(self.ready(id).remove(&(tag, id))),
            Some(Readiness::Throttled(at)) => drop(self.throttled.remove(&(at, id))),
            None => {}
        }
        match readiness {
            Some(Readiness::Ready(tag)) => drop(self.ready(id).insert((tag, id))),
            Some(Readiness::Throttled(at)) => drop(self.throttled.insert((at, id))),
            None => return,
        }
        self.entries.extend(readiness.map(|readiness| (id, readiness)));
    }

    fn ready(&mut self, id: SubLaneId) -> &mut BTreeSet<(StartTag, SubLaneId)> {
        if id.backfill.is_some() { &mut self.backfill } else { &mut self.live }
    }
}
