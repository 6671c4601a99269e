//! A backfill as commands show it: what the API's resource tells of it, but for what only clients
//! need.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weirgate_queue::JobState;
use weirgate_queue::backfill::{Backfill as Row, BackfillState};
use weirgate_web::domain::Catalog;

use crate::http::backfill::{AskedFor, BackfillResource};

/// A backfill.
#[derive(Debug, Serialize)]
pub(super) struct Backfill {
    /// What it was asked to do.
    pub(super) spec: AskedFor,
    #[serde(flatten)]
    pub(super) facts: Facts,
}

/// How far it is.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Facts {
    pub(super) id: Uuid,
    pub(super) kind: String,
    pub(super) state: BackfillState,
    share: f64,
    max_running: Option<u32>,
    priority: i16,
    pub(super) total: u64,
    expanded: u64,
    skipped: u64,
    pub(super) done: u64,
    fraction: f64,
    jobs: u64,
    counts: BTreeMap<String, i64>,
    pub(super) rate_per_s: Option<f64>,
    pub(super) estimated_finish: Option<DateTime<Utc>>,
    pub(super) created_at: DateTime<Utc>,
    cancelled_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

/// The API has both side by side.
#[derive(Deserialize)]
pub(super) struct Resource {
    #[serde(flatten)]
    spec: AskedFor,
    #[serde(flatten)]
    facts: Facts,
}

impl From<Resource> for Backfill {
    fn from(Resource { spec, facts }: Resource) -> Self {
        Self { spec, facts }
    }
}

impl Backfill {
    /// One of the database, which is what a server would tell of it.
    pub(super) fn of(row: &Row, catalog: &Catalog) -> serde_json::Result<Self> {
        let resource = serde_json::to_value(BackfillResource::new(row, catalog, "")?)?;
        serde_json::from_value::<Resource>(resource).map(Self::from)
    }

    pub(super) fn count(&self, state: JobState) -> i64 {
        self.facts.counts.get(state.as_str()).copied().unwrap_or(0)
    }
}
