//! The job resource: one shape in enqueue answers, polls, lists and events.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;
use weirgate_identity::tenant::shown_args;
use weirgate_jobs::{GenerateExport, parse_day};
use weirgate_queue::lanes::facts::Standing;
use weirgate_queue::query::JobRow;
use weirgate_queue::{Job, JobState};

use crate::http::reason::WhyCancelled;
use crate::http::schemas;
use crate::http::table::Row;
use crate::http::tenant_errors::for_tenant;
use crate::http::why::{WhyCode, WhyNotRunning};

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Job)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact that clients ask for by its name")]
pub(crate) struct JobResource {
    /// A UUID of version 7.
    pub(crate) id: Uuid,
    /// What it does.
    #[schema(example = "ingest_tickets")]
    pub(crate) kind: String,
    /// The day that it is for; null for a job that is for none.
    #[schema(required = true, example = "2026-01-20")]
    pub(crate) date: Option<NaiveDate>,
    /// Where it waits.
    #[schema(example = "ingest")]
    pub(crate) queue: String,
    pub(crate) tenant_id: Uuid,
    /// The tenant's slug.
    #[schema(example = "tenant_demo_cca")]
    pub(crate) tenant: String,
    #[schema(schema_with = schemas::job_state)]
    pub(crate) state: JobState,
    /// Higher first.
    #[schema(minimum = -100, maximum = 100)]
    pub(crate) priority: i16,
    /// Attempts started.
    #[schema(minimum = 0)]
    pub(crate) attempt: i16,
    /// Attempts after which a failure discards it.
    #[schema(minimum = 1)]
    pub(crate) max_attempts: i16,
    /// Its arguments.
    #[schema(value_type = Object, example = json!({"tenant": "tenant_demo_cca"}))]
    pub(crate) args: Value,
    /// What it returned, once completed; a job that works in pieces shows what is done so far.
    #[schema(required = true)]
    pub(crate) output: Option<Value>,
    /// Whether it has an output that is left out here, as it is larger than 64 KiB; `links.self`
    /// has it.
    pub(crate) output_omitted: bool,
    /// Its failed attempts.
    pub(crate) errors: Vec<AttemptError>,
    /// How far the current or last attempt is.
    #[schema(required = true)]
    pub(crate) progress: Option<Progress>,
    #[schema(required = true)]
    pub(crate) workflow_id: Option<Uuid>,
    #[schema(required = true)]
    pub(crate) backfill_id: Option<Uuid>,
    /// The jobs it waits on, or waited on.
    pub(crate) depends_on: Vec<Uuid>,
    /// W3C trace id of the request that enqueued it.
    #[schema(required = true)]
    pub(crate) trace_id: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
    /// When it may start, or became due.
    pub(crate) scheduled_at: DateTime<Utc>,
    /// When the last attempt started.
    #[schema(required = true)]
    pub(crate) attempted_at: Option<DateTime<Utc>>,
    /// When it became completed, cancelled or discarded.
    #[schema(required = true)]
    pub(crate) finalized_at: Option<DateTime<Utc>>,
    /// Until when its tenant's rate, or that of the whole queue, holds it back; null unless it is
    /// `rate_limited`.
    #[schema(required = true)]
    pub(crate) throttled_until: Option<DateTime<Utc>>,
    /// Whether it has ended, so that nothing of it will change: `state` is `completed`, `cancelled`
    /// or `discarded`.
    #[serde(rename = "final")]
    pub(crate) is_final: bool,
    /// Whether the request that this answers would have enqueued the same job once more; also as
    /// `Job-Duplicate`.
    pub(crate) duplicate: bool,
    /// Whether the request that this answers had been answered before, so that it did nothing; also
    /// as `Idempotency-Replayed`.
    pub(crate) replayed: bool,
    /// Why it is not running; null for a running or final job.
    #[schema(required = true)]
    pub(crate) why_not_running: Option<WhyNotRunning>,
    /// Why it was cancelled; null unless it is.
    #[schema(required = true)]
    pub(crate) why_cancelled: Option<WhyCancelled>,
    /// Where to follow it.
    #[schema(format = "uri")]
    pub(crate) status_url: String,
    /// Seconds until it is worth asking again, from `why_not_running.until`; null once final. Also
    /// as `Retry-After`.
    #[schema(required = true, minimum = 1, maximum = 3600)]
    pub(crate) retry_after_s: Option<u32>,
    /// The database's time of this answer.
    pub(crate) observed_at: DateTime<Utc>,
    pub(crate) links: JobLinks,
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
pub(crate) fn seconds_until(until: Option<DateTime<Utc>>, now: DateTime<Utc>) -> u32 {
    let seconds = until.map_or(1, |until| ((until - now).num_milliseconds() + 999).div_euclid(1000));
    u32::try_from(seconds.clamp(1, LONGEST_RETRY_AFTER)).unwrap_or(1)
}

/// The output of a job of this kind, with where the export is that it has written.
fn shown_output(kind: &str, mut output: Value, base: &str, operable: bool) -> Value {
    if kind == GenerateExport::KIND
        && let Value::Object(members) = &mut output
        && let Some(Value::String(id)) = members.get("export_id")
    {
        let surface = if operable { "internal" } else { "v1" };
        let url = format!("{base}/{surface}/exports/{id}/download");
        members.insert("download_url".to_owned(), url.into());
    }
    output
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct AttemptError {
    /// Its number, from 1; 0 when the job never started.
    pub(crate) attempt: i32,
    pub(crate) at: DateTime<Utc>,
    /// When it started; null when the job never did, or failed before this was noted.
    #[serde(default)]
    #[schema(required = true)]
    pub(crate) started_at: Option<DateTime<Utc>>,
    /// The worker that ran it; the same. Always null under `/v1`.
    #[serde(default)]
    #[schema(required = true)]
    pub(crate) worker_id: Option<Uuid>,
    /// What went wrong, for programs.
    #[schema(example = "upstream_unavailable")]
    pub(crate) code: String,
    /// What went wrong, for people. Under `/v1` the one text of the code; details are for
    /// operators.
    pub(crate) message: String,
    /// When it was to be tried again; null when not at all.
    #[schema(required = true)]
    pub(crate) retry_at: Option<DateTime<Utc>>,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Progress {
    #[schema(example = 120)]
    pub(crate) done: u64,
    /// Null while unknown.
    #[schema(required = true, example = 400)]
    pub(crate) total: Option<u64>,
    #[schema(example = "page 3")]
    pub(crate) message: String,
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
    /// The job as callers see it who reach this service at `base`; `operable` when they may cancel
    /// and retry it, and then they see what exactly went wrong, too. `standing` is where it stands
    /// if it may start.
    pub(crate) fn new(
        row: JobRow,
        standing: Option<&Standing>,
        tenant: &str,
        base: &str,
        operable: bool,
    ) -> Result<Self, serde_json::Error> {
        let state = row.state();
        let surface = if operable { "internal" } else { "v1" };
        let url = format!("{base}/{surface}/jobs/{}", row.id);
        let control = |verb: &str| operable.then(|| format!("{url}/{verb}"));
        let why = WhyNotRunning::of(&row, tenant, standing);
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
            output: row.output.map(|output| shown_output(&row.kind, output, base, operable)),
            output_omitted: row.output_omitted,
            kind: row.kind,
            errors: if operable { errors } else { errors.into_iter().map(for_tenant).collect() },
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

    pub(crate) fn is_final(&self) -> bool {
        self.is_final
    }

    /// Whether nothing about the job itself differs; the time of the look and its place in the lane
    /// may.
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

    /// Of a final job, which does not change until somebody retries it. Weak, since `observed_at`
    /// differs.
    pub(crate) fn etag(&self) -> Option<String> {
        let at = self.finalized_at.filter(|_| self.is_final())?;
        Some(format!("W/\"{}-{:x}\"", self.id.simple(), at.timestamp_micros()))
    }
}
