//! What is told of the attempts of a job: how one failed, how far it is.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AttemptError {
    /// Its number, from 1; 0 when the job never started.
    pub attempt: i32,
    pub at: DateTime<Utc>,
    /// When it started; null when the job never did, or failed before this was noted.
    #[serde(default)]
    #[schema(required = true)]
    pub started_at: Option<DateTime<Utc>>,
    /// The worker that ran it; the same. Always null under `/v1`.
    #[serde(default)]
    #[schema(required = true)]
    pub worker_id: Option<Uuid>,
    /// What went wrong, for programs.
    #[schema(example = "upstream_unavailable")]
    pub code: String,
    /// What went wrong, for people. Under `/v1` the one text of the code; details are for
    /// operators.
    pub message: String,
    /// When it was to be tried again; null when not at all.
    #[schema(required = true)]
    pub retry_at: Option<DateTime<Utc>>,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    #[schema(example = 120)]
    pub done: u64,
    /// Null while unknown.
    #[schema(required = true, example = 400)]
    pub total: Option<u64>,
    #[schema(example = "page 3")]
    pub message: String,
}
