//! Where each flow stands: ready, in order of its start tag, or throttled, in order of time. What may not start for
//! another reason stands nowhere, so that nothing is ever walked over.
//!
//! Source: start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queueing", SIGCOMM 1996). A start of a flow has
//! the start tag `S = max(V, F)`, where `F` is the finish tag of its last start and `V` the virtual time, which is the
//! start tag of what started last; it leaves the finish tag `F = S + 1 / weight`. The lowest start tag is next.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use crate::lanes::book::{Book, FlowId};
use crate::lanes::explain::Blocked;
use crate::lanes::gcra::Gcra;

/// A virtual time, in order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tag(pub(crate) f64);

impl PartialEq for Tag {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Tag {}

impl PartialOrd for Tag {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Tag {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Ready(Tag),
    Throttled(DateTime<Utc>),
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Places {
    of: HashMap<FlowId, Place>,
    live: BTreeSet<(Tag, FlowId)>,
    backfill: BTreeSet<(Tag, FlowId)>,
    throttled: BTreeSet<(DateTime<Utc>, FlowId)>,
}

impl Places {
    /// Flows with live work that may start, lowest start tag first.
    pub(crate) fn live(&self) -> impl Iterator<Item = (Tag, FlowId)> {
        self.live.iter().copied()
    }

    /// Flows of backfills that may start, lowest start tag first.
    pub(crate) fn backfill(&self) -> impl Iterator<Item = (Tag, FlowId)> {
        self.backfill.iter().copied()
    }

    /// When the next throttled flow is due for a look.
    pub(crate) fn next_due(&self) -> Option<DateTime<Utc>> {
        self.throttled.first().map(|(at, _)| *at)
    }

    /// The start tag of a flow that is ready.
    pub(crate) fn tag(&self, id: FlowId) -> Option<f64> {
        match self.of.get(&id) {
            Some(Place::Ready(tag)) => Some(tag.0),
            _ => None,
        }
    }

    fn ready(&mut self, id: FlowId) -> &mut BTreeSet<(Tag, FlowId)> {
        if id.backfill.is_some() { &mut self.backfill } else { &mut self.live }
    }

    fn put(&mut self, id: FlowId, place: Option<Place>) {
        match self.of.remove(&id) {
            Some(Place::Ready(tag)) => drop(self.ready(id).remove(&(tag, id))),
            Some(Place::Throttled(at)) => drop(self.throttled.remove(&(at, id))),
            None => {}
        }
        match place {
            Some(Place::Ready(tag)) => drop(self.ready(id).insert((tag, id))),
            Some(Place::Throttled(at)) => drop(self.throttled.insert((at, id))),
            None => return,
        }
        self.of.extend(place.map(|place| (id, place)));
    }
}

impl Book {
    /// When something that is throttled is due for a look.
    pub(crate) fn next_due(&self) -> Option<DateTime<Utc>> {
        match self.queue_blocked() {
            Some(Blocked::QueueThrottled(at)) => Some(at),
            _ => self.places.next_due(),
        }
    }

    /// Puts a flow where it belongs now.
    pub(crate) fn replace(&mut self, id: FlowId) {
        let place = match self.blocked(id) {
            _ if !self.has_backlog(id) => None,
            Some(Blocked::Throttled(at)) => {
                let rate = self.settings.lane(id.tenant).rate;
                Some(Place::Throttled(rate.map_or(at, |rate| Gcra::new(rate).due(at))))
            }
            // It stays ready: its other flows would not hear of the room that one of them gives back.
            None | Some(Blocked::BackfillFull { .. }) => {
                let finish = self.flows.get(&id).map_or(0.0, |flow| flow.tag);
                // While it stays ready it keeps its turn; when it comes back it gets no credit for the time away.
                let start = self.places.tag(id).unwrap_or(self.virtual_time(id)).max(finish);
                Some(Place::Ready(Tag(start)))
            }
            Some(_) => None,
        };
        self.places.put(id, place);
    }

    /// The same for all flows of a lane, whose limits they share.
    pub(crate) fn replace_lane(&mut self, tenant: uuid::Uuid) {
        let flows = self.lanes.get(&tenant).map(|lane| lane.flows.clone()).unwrap_or_default();
        for id in flows {
            self.replace(id);
        }
    }

    pub(crate) fn replace_all(&mut self) {
        let flows: Vec<_> = self.flows.keys().copied().collect();
        for id in flows {
            self.replace(id);
        }
    }

    /// Flows whose time has come become ready.
    pub(crate) fn replace_due(&mut self) {
        while let Some((at, id)) = self.places.throttled.first().copied().filter(|(at, _)| *at <= self.now) {
            self.replace(id);
            if self.places.throttled.contains(&(at, id)) {
                return;
            }
        }
    }

    fn has_backlog(&self, id: FlowId) -> bool {
        self.flows.get(&id).is_some_and(|flow| flow.levels.values().any(|level| level.available > 0))
    }
}
