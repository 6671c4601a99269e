//! The job resource: one shape in enqueue answers, polls, lists and events.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use uuid::Uuid;
use weirgate_queue::JobState;
use weirgate_queue::query::JobRow;

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Job)]
pub(crate) struct JobResource {
    /// A UUID of version 7.
    pub(crate) id: Uuid,
    /// What it does.
    #[schema(example = "ingest_tickets")]
    kind: String,
    /// Where it waits.
    #[schema(example = "ingest")]
    queue: String,
    tenant_id: Uuid,
    /// The tenant's slug.
    #[schema(example = "tenant_demo_cca")]
    tenant: String,
    #[schema(schema_with = job_state)]
    pub(crate) state: JobState,
    /// Higher first.
    #[schema(minimum = -100, maximum = 100)]
    priority: i16,
    /// Attempts started.
    #[schema(minimum = 0)]
    attempt: i16,
    /// Attempts after which a failure discards it.
    #[schema(minimum = 1)]
    max_attempts: i16,
    /// Its arguments.
    #[schema(value_type = Object, example = json!({"tenant": "tenant_demo_cca"}))]
    args: Value,
    /// What it returned, once completed; a job that works in pieces shows what is done so far.
    #[schema(required = true)]
    output: Option<Value>,
    /// Its failed attempts.
    errors: Vec<AttemptError>,
    /// How far the current or last attempt is.
    #[schema(required = true)]
    progress: Option<Progress>,
    #[schema(required = true)]
    workflow_id: Option<Uuid>,
    #[schema(required = true)]
    backfill_id: Option<Uuid>,
    /// The jobs it waits on, or waited on.
    depends_on: Vec<Uuid>,
    /// W3C trace id of the request that enqueued it.
    #[schema(required = true)]
    trace_id: Option<String>,
    created_at: DateTime<Utc>,
    /// When it may start, or became due.
    scheduled_at: DateTime<Utc>,
    /// When the last attempt started.
    #[schema(required = true)]
    attempted_at: Option<DateTime<Utc>>,
    /// When it became completed, cancelled or discarded.
    #[schema(required = true)]
    finalized_at: Option<DateTime<Utc>>,
    /// Until when its tenant's rate holds it back.
    #[schema(required = true)]
    throttled_until: Option<DateTime<Utc>>,
    /// Why it is not running; null for a running or final job.
    #[schema(required = true)]
    why_not_running: Option<WhyNotRunning>,
    /// Where to follow it.
    #[schema(format = "uri")]
    status_url: String,
    /// Seconds until it is worth asking again; null once final.
    #[schema(required = true, minimum = 1)]
    retry_after_s: Option<u32>,
    /// The database's time of this answer.
    observed_at: DateTime<Utc>,
    links: JobLinks,
}

/// The states a job can be in.
pub(crate) fn job_state() -> Schema {
    let names = JobState::ALL.iter().map(|state| state.as_str());
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("completed, cancelled and discarded are final"))
        .enum_values(Some(names))
        .build()
        .into()
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct AttemptError {
    /// Its number, from 1; 0 when the job never started.
    attempt: i32,
    at: DateTime<Utc>,
    /// What went wrong, for programs.
    #[schema(example = "upstream_unavailable")]
    code: String,
    /// What went wrong, for people.
    message: String,
    /// When it was to be tried again; null when not at all.
    #[schema(required = true)]
    retry_at: Option<DateTime<Utc>>,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Progress {
    #[schema(example = 120)]
    done: u64,
    /// Null while unknown.
    #[schema(required = true, example = 400)]
    total: Option<u64>,
    #[schema(example = "page 3")]
    message: String,
}

/// Why a job is not running.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct WhyNotRunning {
    code: WhyCode,
    /// For people.
    message: String,
    /// When that will have passed, where it is known.
    #[schema(required = true)]
    until: Option<DateTime<Utc>>,
    /// With `behind_in_lane`, the jobs before it (counted to 1000); with `waiting_on_jobs`, the jobs waited on.
    #[schema(required = true)]
    count: Option<i64>,
}

/// Why a job is not running, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(
    dead_code,
    reason = "limits and pauses are reported once the engine has them; the names are fixed already"
)]
pub(crate) enum WhyCode {
    Scheduled,
    RetryBackoff,
    WaitingOnJobs,
    RateLimited,
    TenantAtMaxRunning,
    QueuePaused,
    BackfillPaused,
    NoLiveWorker,
    BehindInLane,
}

/// Where to go from a job. `cancel` and `retry` are null under `/v1`, where they are not offered.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct JobLinks {
    #[serde(rename = "self")]
    #[schema(format = "uri")]
    this: String,
    #[schema(required = true, format = "uri")]
    cancel: Option<String>,
    #[schema(required = true, format = "uri")]
    retry: Option<String>,
    /// Server-sent events.
    #[schema(format = "uri")]
    events: String,
}

impl JobResource {
    /// The job as callers of `jobs_url` see it; `operable` when they may cancel and retry it.
    pub(crate) fn new(
        row: JobRow,
        tenant: &str,
        jobs_url: &str,
        operable: bool,
    ) -> Result<Self, serde_json::Error> {
        let state = row.state();
        let url = format!("{jobs_url}/{}", row.id);
        let control = |verb: &str| operable.then(|| format!("{url}/{verb}"));
        Ok(Self {
            why_not_running: why_not_running(&row),
            links: JobLinks {
                cancel: control("cancel"),
                retry: control("retry"),
                events: format!("{url}/events"),
                this: url.clone(),
            },
            id: row.id,
            kind: row.kind,
            queue: row.queue,
            tenant_id: row.tenant_id,
            tenant: tenant.to_owned(),
            state,
            priority: row.priority,
            attempt: row.attempt,
            max_attempts: row.max_attempts,
            args: row.args,
            output: row.output,
            errors: serde_json::from_value(row.errors)?,
            progress: row.progress.map(serde_json::from_value).transpose()?,
            workflow_id: row.workflow_id,
            backfill_id: row.backfill_id,
            depends_on: row.depends_on,
            trace_id: row.traceparent.and_then(|it| it.split('-').nth(1).map(str::to_owned)),
            created_at: row.created_at,
            scheduled_at: row.scheduled_at,
            attempted_at: row.attempted_at,
            finalized_at: row.finalized_at,
            throttled_until: None,
            status_url: url,
            retry_after_s: (!state.is_final()).then_some(1),
            observed_at: row.observed_at,
        })
    }

    pub(crate) fn is_final(&self) -> bool {
        self.state.is_final()
    }

    /// Whether nothing about the job itself differs; the time of the look and its place in the lane may.
    pub(crate) fn looks_like(&self, other: &Self) -> bool {
        (self.state, self.attempt, &self.progress, &self.errors, self.scheduled_at, self.finalized_at)
            == (
                other.state,
                other.attempt,
                &other.progress,
                &other.errors,
                other.scheduled_at,
                other.finalized_at,
            )
    }

    /// Of a final job, which does not change until somebody retries it. Weak, since `observed_at` differs.
    pub(crate) fn etag(&self) -> Option<String> {
        let at = self.finalized_at.filter(|_| self.is_final())?;
        Some(format!("W/\"{}-{:x}\"", self.id.simple(), at.timestamp_micros()))
    }
}

fn why_not_running(row: &JobRow) -> Option<WhyNotRunning> {
    let due = row.scheduled_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let (code, message, until, count) = match row.state() {
        JobState::Waiting => {
            let pending = i64::from(row.pending_parents);
            (WhyCode::WaitingOnJobs, format!("waits on {} to end", jobs(pending)), None, Some(pending))
        }
        JobState::Scheduled => {
            (WhyCode::Scheduled, format!("is to start at {due}"), Some(row.scheduled_at), None)
        }
        JobState::Retryable => {
            let message = format!("attempt {} failed; the next one is due at {due}", row.attempt);
            (WhyCode::RetryBackoff, message, Some(row.scheduled_at), None)
        }
        JobState::Available if row.has_worker == Some(false) => {
            let message = format!("no live worker takes jobs from the queue {:?}", row.queue);
            (WhyCode::NoLiveWorker, message, None, None)
        }
        JobState::Available => {
            let ahead = row.ahead.unwrap_or(0);
            let message =
                format!("{} of its tenant start before it in the queue {:?}", jobs(ahead), row.queue);
            (WhyCode::BehindInLane, message, None, Some(ahead))
        }
        JobState::Running | JobState::Completed | JobState::Cancelled | JobState::Discarded => return None,
    };
    Some(WhyNotRunning { code, message, until, count })
}

fn jobs(count: i64) -> String {
    if count == 1 { "1 job".to_owned() } else { format!("{count} jobs") }
}
