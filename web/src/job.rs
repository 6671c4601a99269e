//! The job resource: one shape in enqueue answers, polls, lists and events.

use az::SaturatingAs;
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;
use weirgate_identity::tenant::shown_args;
use weirgate_queue::JobState;
use weirgate_queue::lanes::QueuePosition;
use weirgate_queue::read::JobRow;

use crate::attempt::{AttemptError, Progress};
use crate::day::parse_day;
use crate::presentation::JobPresentation;
use crate::reason::WhyCancelled;
use crate::schemas;
use crate::table::Row;
use crate::tenant_errors::for_tenant;
use crate::why::{WhyCode, WhyNotRunning};

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Job)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact that clients ask for by its name")]
pub struct JobResource {
    /// A UUID of version 7.
    pub id: Uuid,
    /// What it does.
    #[schema(example = "ingest_tickets")]
    pub kind: String,
    /// The day that it is for; null for a job that is for none.
    #[schema(required = true, example = "2026-01-20")]
    pub date: Option<NaiveDate>,
    /// Where it waits.
    #[schema(example = "ingest")]
    pub queue: String,
    pub tenant_id: Uuid,
    /// The tenant's slug.
    #[schema(example = "tenant_demo_cca")]
    pub tenant: String,
    #[schema(schema_with = schemas::job_state)]
    pub state: JobState,
    /// Higher first.
    #[schema(minimum = -100, maximum = 100)]
    pub priority: i16,
    /// Attempts started.
    #[schema(minimum = 0)]
    pub attempt: i16,
    /// Attempts after which a failure discards it.
    #[schema(minimum = 1)]
    pub max_attempts: i16,
    /// Its arguments.
    #[schema(value_type = Object, example = json!({"tenant": "tenant_demo_cca"}))]
    pub args: Value,
    /// What it returned, once completed; a job that works in pieces shows what is done so far.
    #[schema(required = true)]
    pub output: Option<Value>,
    /// Whether it has an output that is left out here, as it is larger than 64 KiB; `links.self`
    /// has it.
    pub output_omitted: bool,
    /// Its failed attempts.
    pub errors: Vec<AttemptError>,
    /// How far the current or last attempt is.
    #[schema(required = true)]
    pub progress: Option<Progress>,
    #[schema(required = true)]
    pub workflow_id: Option<Uuid>,
    #[schema(required = true)]
    pub backfill_id: Option<Uuid>,
    /// The jobs it waits on, or waited on.
    pub depends_on: Vec<Uuid>,
    /// W3C trace id of the request that enqueued it.
    #[schema(required = true)]
    pub trace_id: Option<String>,
    pub created_at: DateTime<Utc>,
    /// When it may start, or became due.
    pub scheduled_at: DateTime<Utc>,
    /// When the last attempt started.
    #[schema(required = true)]
    pub attempted_at: Option<DateTime<Utc>>,
    /// When it became completed, cancelled or discarded.
    #[schema(required = true)]
    pub finalized_at: Option<DateTime<Utc>>,
    /// Until when its tenant's rate, or that of the whole queue, holds it back; null unless it is
    /// `rate_limited`.
    #[schema(required = true)]
    pub throttled_until: Option<DateTime<Utc>>,
    /// Whether it has ended, so that nothing of it will change: `state` is `completed`, `cancelled`
    /// or `discarded`.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Whether the request that this answers would have enqueued the same job once more; also as
    /// `Job-Duplicate`.
    pub duplicate: bool,
    /// Whether the request that this answers had been answered before, so that it did nothing; also
    /// as `Idempotency-Replayed`.
    pub replayed: bool,
    /// Why it is not running; null for a running or final job.
    #[schema(required = true)]
    pub why_not_running: Option<WhyNotRunning>,
    /// Why it was cancelled; null unless it is.
    #[schema(required = true)]
    pub why_cancelled: Option<WhyCancelled>,
    /// Where to follow it.
    #[schema(format = "uri")]
    pub status_url: String,
    /// Seconds until it is worth asking again, from `why_not_running.until`; null once final. Also
    /// as `Retry-After`.
    #[schema(required = true, minimum = 1, maximum = 3600)]
    pub retry_after_s: Option<u32>,
    /// The database's time of this answer.
    pub observed_at: DateTime<Utc>,
    pub links: JobLinks,
}

impl Row for JobResource {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "kind",
        "date",
        "queue",
        "tenant_id",
        "tenant",
        "state",
        "priority",
        "attempt",
        "max_attempts",
        "args",
        "output",
        "output_omitted",
        "errors",
        "progress",
        "workflow_id",
        "backfill_id",
        "depends_on",
        "trace_id",
        "created_at",
        "scheduled_at",
        "attempted_at",
        "finalized_at",
        "throttled_until",
        "final",
        "duplicate",
        "replayed",
        "why_not_running",
        "why_cancelled",
        "status_url",
        "retry_after_s",
        "observed_at",
        "links",
    ];
}

/// Most seconds that anybody is told to wait before asking again: much may change before its time.
const LONGEST_RETRY_AFTER: i64 = 3600;

/// Whole seconds from `now` until then, within bounds; 1 where it is not known.
pub fn seconds_until(until: Option<DateTime<Utc>>, now: DateTime<Utc>) -> u32 {
    let seconds = until.map_or(1, |until| ((until - now).num_milliseconds() + 999).div_euclid(1000));
    seconds.clamp(1, LONGEST_RETRY_AFTER).saturating_as::<u32>()
}

/// Where to go from a job. `cancel` and `retry` are null under `/v1`, where they are not offered.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct JobLinks {
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
    /// The job as callers see it who reach this service at `base`; `operable` when they may cancel
    /// and retry it, and then they see what exactly went wrong, too. `position` is where it stands
    /// if it may start; `presentation` is what its domain says of its kind.
    pub fn new(
        row: JobRow,
        position: Option<&QueuePosition>,
        tenant: &str,
        base: &str,
        operable: bool,
        presentation: &JobPresentation,
    ) -> Result<Self, serde_json::Error> {
        let state = row.state();
        let surface = format!("{base}/{}", if operable { "internal" } else { "v1" });
        let url = format!("{surface}/jobs/{}", row.id);
        let control = |verb: &str| operable.then(|| format!("{url}/{verb}"));
        let why = WhyNotRunning::of(&row, tenant, position);
        let errors: Vec<AttemptError> = serde_json::from_value(row.errors)?;
        let throttled = why.as_ref().filter(|why| why.code == WhyCode::RateLimited);
        Ok(Self {
            throttled_until: throttled.and_then(|why| why.until),
            is_final: state.is_final(),
            duplicate: false,
            replayed: false,
            retry_after_s: (!state.is_final())
                .then(|| seconds_until(why.as_ref().and_then(|why| why.until), row.observed_at)),
            why_not_running: why,
            why_cancelled: None,
            date: row.subject.and_then(|day| parse_day(&day).ok()),
            links: JobLinks {
                cancel: control("cancel"),
                retry: control("retry"),
                events: format!("{url}/events"),
                this: url.clone(),
            },
            id: row.id,
            queue: row.queue,
            tenant_id: row.tenant_id,
            tenant: tenant.to_owned(),
            state,
            priority: row.priority,
            attempt: row.attempt,
            max_attempts: row.max_attempts,
            args: shown_args(row.args, row.tenant_id, tenant),
            output: row.output.map(|output| presentation.output(&row.kind, output, &surface)),
            output_omitted: row.output_omitted,
            kind: row.kind,
            errors: if operable {
                errors
            } else {
                errors.into_iter().map(|error| for_tenant(error, presentation)).collect()
            },
            progress: row.progress.map(serde_json::from_value).transpose()?,
            workflow_id: row.workflow_id,
            backfill_id: row.backfill_id,
            depends_on: row.depends_on,
            trace_id: row.traceparent.and_then(|it| it.split('-').nth(1).map(str::to_owned)),
            created_at: row.created_at,
            scheduled_at: row.scheduled_at,
            attempted_at: row.attempted_at,
            finalized_at: row.finalized_at,
            status_url: url,
            observed_at: row.observed_at,
        })
    }

    pub fn is_final(&self) -> bool {
        self.is_final
    }

    /// Whether nothing about the job itself differs; the time of the look and its place in the lane
    /// may.
    pub fn looks_like(&self, other: &Self) -> bool {
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

    /// Of a final job, which does not change until somebody retries it. Weak, since `observed_at`
    /// differs.
    pub fn etag(&self) -> Option<String> {
        let at = self.finalized_at.filter(|_| self.is_final())?;
        Some(format!("W/\"{}-{:x}\"", self.id.simple(), at.timestamp_micros()))
    }
}
