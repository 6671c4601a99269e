//! Lists of jobs, newest first, at a bounded cost whatever they are filtered by.
//!
//! A page is a walk down the index that fits its filter best, over a bounded number of jobs. Where
//! too few of these match, the page is short, and the next one goes on from there.

use std::collections::BTreeMap;

use az::SaturatingAs;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::job::state::JobState;
use crate::read::row::JobRow;

/// Most jobs that a page examines where they are next to each other in the table.
const MAX_WALKED: i64 = 10_000;

/// Most jobs that a page examines where each may be in another block of the table.
const MAX_WALKED_SCATTERED: i64 = 2_500;

/// Most bytes of a page, unless its first job alone has more.
const MAX_PAGE_BYTES: usize = 8 * 1024 * 1024;

/// The order of `seq` is that of the time, but for jobs that are enqueued within this time of each
/// other.
const SEQ_TIME_TOLERANCE: TimeDelta = TimeDelta::seconds(10);

/// Which jobs to list; empty fields do not filter. It is serialized under the names that requests
/// have.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobFilter {
    /// Only jobs with one of these ids.
    #[serde(rename = "id", skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<Uuid>>,
    /// Only jobs in one of these states.
    #[serde(rename = "state", skip_serializing_if = "Option::is_none")]
    pub states: Option<Vec<JobState>>,
    /// Only jobs of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Only jobs in this queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Only jobs of this tenant.
    #[serde(rename = "tenant_id", skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Uuid>,
    /// Only jobs with this subject, such as a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Only jobs of this workflow.
    #[serde(rename = "workflow_id", skip_serializing_if = "Option::is_none")]
    pub workflow: Option<Uuid>,
    /// Only jobs of this backfill.
    #[serde(rename = "backfill_id", skip_serializing_if = "Option::is_none")]
    pub backfill: Option<Uuid>,
    /// Only jobs that are retryable or discarded after this failure
    /// ([`failures`](crate::telemetry::failures)).
    #[serde(rename = "failure_id", skip_serializing_if = "Option::is_none")]
    pub failure: Option<i64>,
    /// Only jobs that were enqueued at or after this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_after: Option<DateTime<Utc>>,
    /// Only jobs that were enqueued before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_before: Option<DateTime<Utc>>,
    /// Only jobs with this text, in upper or lower case, in arguments or errors.
    #[serde(rename = "q", skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Jobs of these tenants match the text too, since the tenants' names contain it.
    #[serde(rename = "q_tenants", skip_serializing_if = "Vec::is_empty")]
    pub text_tenants: Vec<Uuid>,
    /// The text is searched only in the codes of errors and not in their messages, which the caller
    /// does not see.
    #[serde(skip)]
    pub codes_only: bool,
    /// Only jobs with these values of arguments, as text; a dot in a name leads into an object.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, String>,
}

/// A page of jobs.
#[derive(Debug)]
pub struct JobPage {
    /// The jobs, newest first.
    pub rows: Vec<JobRow>,
    /// Older ones have a [`JobRow::seq`] below this; `None` when there are none.
    pub next: Option<i64>,
}

/// The index that a walk reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WalkIndex {
    All,
    Ids,
    Tenant,
    Workflow,
    Backfill,
    Failure,
    /// Jobs in the states of the filter, which all are cold states: few jobs are in these.
    Cold,
    /// A tenant's jobs in any cold state.
    TenantCold,
    /// A tenant's jobs with one subject that failed or were cancelled.
    FailingSubject,
    /// Jobs that workers have claimed.
    Claims,
}

impl WalkIndex {
    /// The index with the fewest jobs beside those that match.
    fn of(filter: &JobFilter) -> Self {
        let only =
            |of: fn(&JobState) -> bool| filter.states.as_ref().is_some_and(|states| states.iter().all(of));
        if filter.ids.is_some() {
            Self::Ids
        } else if filter.workflow.is_some() {
            Self::Workflow
        } else if only(|state| *state == JobState::Running) {
            Self::Claims
        } else if filter.backfill.is_some() {
            Self::Backfill
        } else if filter.failure.is_some() {
            Self::Failure
        } else if filter.tenant.is_some() && filter.subject.is_some() && only(|state| is_failing(*state)) {
            Self::FailingSubject
        } else if only(|state| state.is_cold()) {
            if filter.tenant.is_some() { Self::TenantCold } else { Self::Cold }
        } else if filter.tenant.is_some() {
            Self::Tenant
        } else {
            Self::All
        }
    }

    /// Its name in `page.sql`.
    fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Ids => "ids",
            Self::Tenant => "tenant",
            Self::Workflow => "workflow",
            Self::Backfill => "backfill",
            Self::Failure => "failure",
            Self::Cold => "cold",
            Self::TenantCold => "tenant_cold",
            Self::FailingSubject => "failing_subject",
            Self::Claims => "claims",
        }
    }
}

/// Whether the index on subjects has jobs in this state.
const fn is_failing(state: JobState) -> bool {
    matches!(state, JobState::Retryable | JobState::Cancelled | JobState::Discarded)
}

/// The newest jobs that match and have a [`JobRow::seq`] below `before`: at most `limit`, or fewer
/// where the walk ends earlier.
pub async fn list(
    conn: &mut PgConnection,
    filter: &JobFilter,
    before: Option<i64>,
    limit: i64,
) -> Result<JobPage> {
    let mut walked = walk(conn, filter, before, limit + 1).await?;
    let limit = limit.saturating_as::<usize>();
    let more = walked.seqs.len() > limit;
    walked.seqs.truncate(limit);
    let mut next = if more { walked.seqs.last().copied() } else { walked.floor };
    // A job may have changed its state since the walk.
    let states = state_names(filter);
    let mut jobs = job_rows!(
        from "unnest($1::bigint[]) as w (seq) cross join lateral (select * from queue.jobs where seq = w.seq offset 0) j
              where $2::text[] is null or j.state = any($2::text[]::queue.job_state[])
              order by j.seq desc",
        &walked.seqs,
        states.as_deref(),
    )
    .fetch(conn);
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some(row) = jobs.try_next().await? {
        bytes += row.bytes();
        if bytes > MAX_PAGE_BYTES && !rows.is_empty() {
            next = rows.last().map(|row: &JobRow| row.seq);
            break;
        }
        rows.push(row);
    }
    Ok(JobPage { rows, next })
}

/// What a walk found.
pub(super) struct Walked {
    /// The jobs that match, newest first.
    pub(super) seqs: Vec<i64>,
    /// The last job that it examined; `None` where it came to the end.
    pub(super) floor: Option<i64>,
}

/// Walks down the index that fits the filter, from below `before`, and returns up to `limit` jobs
/// that match.
pub(super) async fn walk(
    conn: &mut PgConnection,
    filter: &JobFilter,
    before: Option<i64>,
    limit: i64,
) -> Result<Walked> {
    let index = WalkIndex::of(filter);
    let mut before = before.unwrap_or(i64::MAX);
    let mut lowest = 0;
    if let Some(at) = filter.created_before {
        before = before.min(seq_at(conn, at + SEQ_TIME_TOLERANCE).await?);
    }
    if let Some(at) = filter.created_after {
        lowest = seq_at(conn, at - SEQ_TIME_TOLERANCE).await?;
    }
    let (states, pattern) = (state_names(filter), filter.text.as_deref().map(like_pattern));
    let (args, values) = filter.args();
    let walked = sqlx::query_file_as!(
        Walked,
        "src/read/page.sql",
        index.name(),
        before,
        lowest,
        if index == WalkIndex::All { MAX_WALKED } else { MAX_WALKED_SCATTERED },
        limit,
        states.as_deref(),
        filter.kind,
        filter.queue,
        filter.tenant,
        filter.workflow,
        filter.backfill,
        filter.created_after,
        filter.created_before,
        pattern,
        filter.ids.as_deref(),
        filter.failure,
        args.as_deref(),
        values.as_deref(),
        &filter.text_tenants,
        filter.codes_only,
        filter.subject,
    )
    .fetch_one(conn)
    .await?;
    Ok(walked)
}

/// The first `seq` of the jobs that were enqueued at `at` or later.
async fn seq_at(conn: &mut PgConnection, at: DateTime<Utc>) -> Result<i64> {
    let seq = sqlx::query_scalar!(r#"select queue.seq_at($1) as "seq!""#, at).fetch_one(conn).await?;
    Ok(seq)
}

impl JobFilter {
    /// The names and the values of the arguments to filter by; `None` without any.
    pub(crate) fn args(&self) -> (Option<Vec<String>>, Option<Vec<String>>) {
        if self.args.is_empty() {
            return (None, None);
        }
        (Some(self.args.keys().cloned().collect()), Some(self.args.values().cloned().collect()))
    }
}

fn state_names(filter: &JobFilter) -> Option<Vec<String>> {
    filter.states.as_ref().map(|states| {
        let mut names: Vec<String> = states.iter().map(ToString::to_string).collect();
        names.sort_unstable();
        names.dedup();
        names
    })
}

/// A pattern for `like` that finds `text` anywhere.
pub(crate) fn like_pattern(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}
