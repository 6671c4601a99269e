//! A book as it is written down, for hosts that begin to read the log.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Book, FlowId, Level};
use crate::job::state::JobState;
use crate::lanes::log::{Count, Seen};

/// What is written down of a book: everything that is not in the settings' tables.
#[derive(Serialize, Deserialize)]
struct Saved {
    queue: String,
    seen: Seen,
    now: DateTime<Utc>,
    no: i64,
    virtual_times: [f64; 2],
    queue_tat: Option<DateTime<Utc>>,
    tats: Vec<(Uuid, DateTime<Utc>)>,
    /// Missing in books of before claims left jobs' rows as they are; the same goes for the levels.
    #[serde(default)]
    fresh: i64,
    flows: Vec<SavedFlow>,
}

#[derive(Serialize, Deserialize)]
struct SavedFlow {
    id: FlowId,
    tag: f64,
    counts: Vec<(i16, JobState, i64)>,
    /// Where something may start, by priority.
    #[serde(default)]
    levels: Vec<(i16, Level)>,
}

impl Serialize for Book {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let flows = self
            .flows
            .iter()
            .filter(|(id, flow)| !flow.is_empty() || flow.tag > self.virtual_time(**id))
            .map(|(id, flow)| {
                let counts = flow.counts.iter().filter(|(_, count)| **count != 0);
                let counts = counts.map(|((priority, state), count)| {
                    (*priority, JobState::ALL[usize::from(*state)], *count)
                });
                let waiting = flow.levels.iter().filter(|(_, level)| level.available > 0);
                let levels = waiting.map(|(Reverse(priority), level)| (*priority, level.clone()));
                SavedFlow { id: *id, tag: flow.tag, counts: counts.collect(), levels: levels.collect() }
            })
            .collect();
        let tats = self
            .lanes
            .iter()
            .filter_map(|(tenant, lane)| Some((*tenant, lane.tat.filter(|tat| *tat > self.now)?)));
        Saved {
            queue: self.queue.clone(),
            seen: self.seen.clone(),
            now: self.now,
            no: self.no,
            virtual_times: self.virtual_times,
            queue_tat: self.queue_tat,
            tats: tats.collect(),
            fresh: self.fresh,
            flows,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Book {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let saved = Saved::deserialize(deserializer)?;
        let mut book = Self {
            queue: saved.queue,
            seen: saved.seen,
            now: saved.now,
            no: saved.no,
            virtual_times: saved.virtual_times,
            queue_tat: saved.queue_tat,
            fresh: saved.fresh,
            fresh_before: saved.fresh,
            ..Self::default()
        };
        for SavedFlow { id, tag, counts, levels } in saved.flows {
            book.flow(id).tag = tag;
            for (priority, state, change) in counts {
                let FlowId { tenant, backfill } = id;
                let count = Count {
                    tenant,
                    backfill,
                    priority,
                    state,
                    change,
                    txid: 0,
                    lowest: None,
                    returned: false,
                    claimed: None,
                };
                book.count(&count, saved.no);
            }
            // A level that was not saved is read from the beginning.
            for (priority, level) in &mut book.flow(id).levels {
                let saved = levels.iter().find(|(of, _)| *of == priority.0).map(|(_, level)| level.clone());
                let available = level.available;
                *level = saved.unwrap_or_else(|| Level::from_beginning(level.fresh));
                level.available = available;
            }
        }
        for (tenant, tat) in saved.tats {
            book.lanes.entry(tenant).or_default().tat = Some(tat);
        }
        Ok(book)
    }
}
