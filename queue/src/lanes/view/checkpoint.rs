//! A view's checkpoint: the view as it is written down for the workers that begin, so that they
//! need not read the whole log.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::Result;
use crate::job::state::JobState;
use crate::lanes::log::{CountChange, Snapshot};
use crate::lanes::priority_level::PriorityLevel;
use crate::lanes::sublane::SubLaneId;
use crate::lanes::view::QueueView;

/// A checkpoint as it is stored: everything of a view that is not in the tables of the settings.
///
/// The names in it are permanent, as the workers of two versions read each other's checkpoints
/// while an update is on its way. That is why some of them are not the words of the code.
#[derive(Serialize, Deserialize)]
struct Checkpoint {
    queue: String,
    #[serde(rename = "seen")]
    snapshot: Snapshot,
    now: DateTime<Utc>,
    #[serde(rename = "no")]
    claim_seq: i64,
    virtual_times: [f64; 2],
    queue_tat: Option<DateTime<Utc>>,
    tats: Vec<(Uuid, DateTime<Utc>)>,
    /// Missing in checkpoints from before claims left the jobs' rows as they are; so are the
    /// levels.
    #[serde(rename = "fresh", default)]
    high_water: i64,
    #[serde(rename = "flows")]
    sublanes: Vec<SubLaneCheckpoint>,
}

#[derive(Serialize, Deserialize)]
struct SubLaneCheckpoint {
    id: SubLaneId,
    #[serde(rename = "tag")]
    finish_tag: f64,
    counts: Vec<(i16, JobState, i64)>,
    /// The levels in which something may start, by priority.
    #[serde(default)]
    levels: Vec<(i16, PriorityLevel)>,
}

impl Serialize for QueueView {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let sublanes = self
            .sublanes
            .iter()
            .filter(|(id, sublane)| !sublane.is_empty() || sublane.finish_tag > self.virtual_time(**id))
            .map(|(id, sublane)| {
                let counts = sublane.counts.iter().filter(|(_, count)| **count != 0);
                let counts = counts.map(|((priority, state), count)| {
                    (*priority, JobState::ALL[usize::from(*state)], *count)
                });
                let waiting = sublane.levels.iter().filter(|(_, level)| level.available > 0);
                let levels = waiting.map(|(Reverse(priority), level)| (*priority, level.clone()));
                SubLaneCheckpoint {
                    id: *id,
                    finish_tag: sublane.finish_tag,
                    counts: counts.collect(),
                    levels: levels.collect(),
                }
            })
            .collect();
        let tats = self
            .lanes
            .iter()
            .filter_map(|(tenant, lane)| Some((*tenant, lane.tat.filter(|tat| *tat > self.now)?)));
        Checkpoint {
            queue: self.queue.clone(),
            snapshot: self.snapshot.clone(),
            now: self.now,
            claim_seq: self.claim_seq,
            virtual_times: self.virtual_times,
            queue_tat: self.queue_tat,
            tats: tats.collect(),
            high_water: self.high_water,
            sublanes,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for QueueView {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let checkpoint = Checkpoint::deserialize(deserializer)?;
        let mut view = Self {
            queue: checkpoint.queue,
            snapshot: checkpoint.snapshot,
            now: checkpoint.now,
            claim_seq: checkpoint.claim_seq,
            virtual_times: checkpoint.virtual_times,
            queue_tat: checkpoint.queue_tat,
            high_water: checkpoint.high_water,
            initial_high_water: checkpoint.high_water,
            ..Self::default()
        };
        for SubLaneCheckpoint { id, finish_tag, counts, levels } in checkpoint.sublanes {
            view.sublane_mut(id).finish_tag = finish_tag;
            for (priority, state, count) in counts {
                view.apply_count(&CountChange::sum(id, priority, state, count), checkpoint.claim_seq);
            }
            // A level that was not written down is read from its beginning.
            for (priority, level) in &mut view.sublane_mut(id).levels {
                let saved = levels.iter().find(|(of, _)| *of == priority.0).map(|(_, level)| level.clone());
                let available = level.available;
                *level = saved.unwrap_or_else(|| PriorityLevel::from_beginning(level.high_water));
                level.available = available;
            }
        }
        for (tenant, tat) in checkpoint.tats {
            view.lanes.entry(tenant).or_default().tat = Some(tat);
        }
        Ok(view)
    }
}

/// A view from the newest checkpoint of this history, or an empty one.
pub(crate) async fn load(conn: &mut PgConnection, queue: &str) -> Result<QueueView> {
    let row = sqlx::query!(
        r#"select h.id as "history!", pg_postmaster_start_time() as "server!", b.view as "view?: Json<QueueView>"
           from (select queue.history_id() as id) h
           left join lateral (
               select view from queue.view_checkpoints where queue = $1 and history = h.id order by at desc limit 1
           ) b on true"#,
        queue
    )
    .fetch_one(conn)
    .await?;
    let mut view = row.view.map(|json| json.0).unwrap_or_default();
    queue.clone_into(&mut view.queue);
    (view.history, view.server_started) = (row.history, row.server);
    Ok(view)
}

/// The newest checkpoint of any history.
pub(crate) async fn newest(conn: &mut PgConnection, queue: &str) -> Result<Option<QueueView>> {
    let view = sqlx::query_scalar!(
        r#"select view as "view: Json<QueueView>" from queue.view_checkpoints where queue = $1 order by at desc limit 1"#,
        queue
    )
    .fetch_optional(conn)
    .await?;
    Ok(view.map(|json| json.0))
}

/// Writes a checkpoint for the workers that begin.
pub(crate) async fn save(conn: &mut PgConnection, view: &mut QueueView) -> Result<()> {
    sqlx::query!(
        "insert into queue.view_checkpoints (queue, at, oldest_txid, claim_seq, view, history) values ($1, queue.now(), $2, $3, $4, $5)
         on conflict do nothing",
        view.queue,
        view.snapshot.oldest_invisible(),
        view.claim_seq,
        Json(&*view) as _,
        view.history
    )
    .execute(conn)
    .await?;
    view.rows_since_checkpoint = 0;
    Ok(())
}
