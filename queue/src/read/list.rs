//! Lists of jobs, newest first, at a bounded cost whatever they are filtered by.
//!
//! A page is a walk down the index that fits its filter best, over a bounded number of jobs. Where these hold
//! too few that match, the page is short, and the next one goes on from there.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::JobRow;
use crate::error::Result;
use crate::job::state::JobState;

/// Jobs that are looked at for a page, where they lie side by side in the table.
const LONGEST: i64 = 10_000;

/// The same where each may be on a page of the table of its own.
const LONGEST_SCATTERED: i64 = 2_500;

/// Most bytes of a page, unless its first job alone has more.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// Jobs are numbered and dated in the same order, but for those that are enqueued at the same moment.
const DISORDER: TimeDelta = TimeDelta::seconds(10);

/// Which jobs to list; empty fields do not filter. Stored under the names that requests have.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobFilter {
    /// One of these.
    #[serde(rename = "id", skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<Uuid>>,
    /// One of these states.
    #[serde(rename = "state", skip_serializing_if = "Option::is_none")]
    pub states: Option<Vec<JobState>>,
    /// Of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// In this queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Of this tenant.
    #[serde(rename = "tenant_id", skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Uuid>,
    /// About this, such as a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Of this workflow.
    #[serde(rename = "workflow_id", skip_serializing_if = "Option::is_none")]
    pub workflow: Option<Uuid>,
    /// Of this backfill.
    #[serde(rename = "backfill_id", skip_serializing_if = "Option::is_none")]
    pub backfill: Option<Uuid>,
    /// To be tried again after this failure, or ended by it ([`failures`](crate::telemetry::failures)).
    #[serde(rename = "failure_id", skip_serializing_if = "Option::is_none")]
    pub failure: Option<i64>,
    /// Enqueued at or after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_after: Option<DateTime<Utc>>,
    /// Enqueued before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_before: Option<DateTime<Utc>>,
    /// This text, in any case, in arguments or errors.
    #[serde(rename = "q", skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Jobs of these tenants have the text, too: it stands in what people call them.
    #[serde(rename = "q_tenants", skip_serializing_if = "Vec::is_empty")]
    pub text_tenants: Vec<Uuid>,
    /// The text is looked for in the codes of errors alone, and not in their messages, which the caller does not see.
    #[serde(skip)]
    pub codes_only: bool,
    /// With these arguments, as texts; a dot in a name leads into an object.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, String>,
}

/// A page of jobs.
#[derive(Debug)]
pub struct Listed {
    /// Newest first.
    pub rows: Vec<JobRow>,
    /// Older ones have a [`JobRow::seq`] below this; none when there are none.
    pub next: Option<i64>,
}

/// Which jobs a walk meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    All,
    Ids,
    Tenant,
    Workflow,
    Backfill,
    Failure,
    /// Those in the states that are asked for, which all are ones that few jobs are in.
    Aside,
    /// A tenant's in any such state.
    TenantAside,
    /// Those of a tenant that are about one thing, and failed or were cancelled.
    FailingSubject,
    /// What workers hold.
    Claims,
}

impl Path {
    /// The one with the fewest jobs beside those that match.
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
        } else if only(|state| state.is_aside()) {
            if filter.tenant.is_some() { Self::TenantAside } else { Self::Aside }
        } else if filter.tenant.is_some() {
            Self::Tenant
        } else {
            Self::All
        }
    }

    /// In `page.sql`.
    fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Ids => "ids",
            Self::Tenant => "tenant",
            Self::Workflow => "workflow",
            Self::Backfill => "backfill",
            Self::Failure => "failure",
            Self::Aside => "cold",
            Self::TenantAside => "tenant_cold",
            Self::FailingSubject => "failing_subject",
            Self::Claims => "claims",
        }
    }
}

/// The states that the index of what jobs are about is of.
const fn is_failing(state: JobState) -> bool {
    matches!(state, JobState::Retryable | JobState::Cancelled | JobState::Discarded)
}

/// The newest jobs that match and have a [`JobRow::seq`] below `before`: at most `limit`, and fewer where the
/// walk ends before.
pub async fn list(
    conn: &mut PgConnection,
    filter: &JobFilter,
    before: Option<i64>,
    limit: i64,
) -> Result<Listed> {
    let mut page = walk(conn, filter, before, limit + 1).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = page.seqs.len() > limit;
    page.seqs.truncate(limit);
    let mut next = if more { page.seqs.last().copied() } else { page.floor };
    // A job may have gone on since.
    let states = names(filter);
    let mut jobs = job_rows!(
        from "unnest($1::bigint[]) as w (seq) cross join lateral (select * from queue.jobs where seq = w.seq offset 0) j
              where $2::text[] is null or j.state = any($2::text[]::queue.job_state[])
              order by j.seq desc",
        &page.seqs,
        states.as_deref(),
    )
    .fetch(conn);
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some(row) = jobs.try_next().await? {
        bytes += row.bytes();
        if bytes > MOST_BYTES && !rows.is_empty() {
            next = rows.last().map(|row: &JobRow| row.seq);
            break;
        }
        rows.push(row);
    }
    Ok(Listed { rows, next })
}

/// What a walk met.
pub(super) struct Page {
    /// The matches, newest first.
    pub(super) seqs: Vec<i64>,
    /// The last job that it looked at; none where it came to the end.
    pub(super) floor: Option<i64>,
}

pub(super) async fn walk(
    conn: &mut PgConnection,
    filter: &JobFilter,
    before: Option<i64>,
    limit: i64,
) -> Result<Page> {
    let path = Path::of(filter);
    let mut before = before.unwrap_or(i64::MAX);
    let mut lowest = 0;
    if let Some(at) = filter.created_before {
        before = before.min(seq_at(conn, at + DISORDER).await?);
    }
    if let Some(at) = filter.created_after {
        lowest = seq_at(conn, at - DISORDER).await?;
    }
    let (states, pattern) = (names(filter), filter.text.as_deref().map(like_pattern));
    let (args, values) = filter.args();
    let page = sqlx::query_file_as!(
        Page,
        "src/read/page.sql",
        path.name(),
        before,
        lowest,
        if path == Path::All { LONGEST } else { LONGEST_SCATTERED },
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
    Ok(page)
}

/// Which jobs were enqueued before `at`, and which later: the first of these.
async fn seq_at(conn: &mut PgConnection, at: DateTime<Utc>) -> Result<i64> {
    let seq = sqlx::query_scalar!(r#"select queue.seq_at($1) as "seq!""#, at).fetch_one(conn).await?;
    Ok(seq)
}

impl JobFilter {
    /// Names and values of arguments; nothing where none is asked for.
    pub(crate) fn args(&self) -> (Option<Vec<String>>, Option<Vec<String>>) {
        if self.args.is_empty() {
            return (None, None);
        }
        (Some(self.args.keys().cloned().collect()), Some(self.args.values().cloned().collect()))
    }
}

fn names(filter: &JobFilter) -> Option<Vec<String>> {
    filter.states.as_ref().map(|states| {
        let mut names: Vec<String> = states.iter().map(ToString::to_string).collect();
        names.sort_unstable();
        names.dedup();
        names
    })
}

pub(crate) fn like_pattern(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}
