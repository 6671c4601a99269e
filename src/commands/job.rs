//! A job as commands show it: what the API's resource tells of it, but for what only clients need.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;
use weirgate_queue::JobState;
use weirgate_queue::lanes::QueuePosition;
use weirgate_queue::read::JobRow;
use weirgate_web::attempt::{AttemptError, Progress};
use weirgate_web::job::JobResource;
use weirgate_web::presentation::JobPresentation;
use weirgate_web::reason;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) id: Uuid,
    pub(super) kind: String,
    pub(super) date: Option<NaiveDate>,
    queue: String,
    tenant_id: Uuid,
    pub(super) tenant: String,
    pub(super) state: JobState,
    priority: i16,
    pub(super) attempt: i16,
    pub(super) max_attempts: i16,
    pub(super) args: Value,
    output: Option<Value>,
    errors: Vec<AttemptError>,
    pub(super) progress: Option<Progress>,
    workflow_id: Option<Uuid>,
    backfill_id: Option<Uuid>,
    depends_on: Vec<Uuid>,
    pub(super) created_at: DateTime<Utc>,
    scheduled_at: DateTime<Utc>,
    attempted_at: Option<DateTime<Utc>>,
    finalized_at: Option<DateTime<Utc>>,
}

/// A job as it is at a moment, with why it does not run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct JobReport {
    #[serde(flatten)]
    pub(super) job: Job,
    #[serde(rename = "why_not_running")]
    pub(super) why: Option<Why>,
    why_cancelled: Option<WhyCancelled>,
}

/// Why a job was cancelled.
#[derive(Debug, Serialize, Deserialize)]
struct WhyCancelled {
    code: String,
    message: String,
    job_id: Option<Uuid>,
}

/// Why a job is not running.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Why {
    pub(super) code: String,
    pub(super) message: String,
    /// What else the API tells of it.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl JobReport {
    /// A job of the database, which is what a server would tell of it.
    pub(super) fn of(
        row: JobRow,
        position: Option<&QueuePosition>,
        why_cancelled: Option<reason::WhyCancelled>,
        tenant: &str,
    ) -> serde_json::Result<Self> {
        // No links: there is no server here that would hand out what they lead to.
        let resource = JobResource::new(row, position, tenant, "", true, &JobPresentation::default())?;
        let resource = JobResource { why_cancelled, ..resource };
        serde_json::from_value(serde_json::to_value(resource)?)
    }
}
