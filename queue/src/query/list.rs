//! Lists of jobs, newest first, at a bounded cost whatever they are filtered by.
//!
//! A page is a walk down the index that fits its filter best, over a bounded number of jobs. Where these hold
//! too few that match, the page is short, and the next one goes on from there.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::JobRow;
use crate::error::Result;
use crate::state::JobState;

/// Jobs that are looked at for a page, where they lie side by side in the table.
const LONGEST: i64 = 10_000;

/// The same where each may be on a page of the table of its own.
const LONGEST_SCATTERED: i64 = 2_500;

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
    /// Of this workflow.
    #[serde(rename = "workflow_id", skip_serializing_if = "Option::is_none")]
    pub workflow: Option<Uuid>,
    /// Of this backfill.
    #[serde(rename = "backfill_id", skip_serializing_if = "Option::is_none")]
    pub backfill: Option<Uuid>,
    /// To be tried again after this failure, or ended by it ([`failures`](crate::failures)).
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
        } else if only(|state| state.is_aside()) {
            if filter.tenant.is_some() { Self::TenantAside } else { Self::Aside }
        } else if filter.tenant.is_some() {
            Self::Tenant
        } else {
            Self::All
        }
    }
}

/// The newest jobs that match and have a [`JobRow::seq`] below `before`: at most `limit`, and fewer where the
/// walk ends before.
pub async fn list(
    conn: &mut PgConnection,
    filter: &JobFilter,
    before: Option<i64>,
    limit: i64,
) -> Result<Listed> {
    let range = Range::of(conn, filter, before).await?;
    let mut rows = walk(conn, filter, &range, limit + 1).await?;
    let more = i64::try_from(rows.len()).unwrap_or(i64::MAX) > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = if more { rows.last().map(|row| row.seq) } else { range.goes_on.then_some(range.floor) };
    Ok(Listed { rows, next })
}

/// Part of a path, by [`JobRow::seq`].
struct Range {
    path: Path,
    /// Exclusive.
    before: i64,
    /// Inclusive.
    floor: i64,
    /// Whether the path goes on below the floor.
    goes_on: bool,
}

impl Range {
    async fn of(conn: &mut PgConnection, filter: &JobFilter, before: Option<i64>) -> Result<Self> {
        let path = Path::of(filter);
        let mut before = before.unwrap_or(i64::MAX);
        let mut lowest = 0;
        if let Some(at) = filter.created_before {
            before = before.min(seq_at(conn, at + DISORDER).await?);
        }
        if let Some(at) = filter.created_after {
            lowest = seq_at(conn, at - DISORDER).await?;
        }
        // What workers hold is little, and so is what is named one by one.
        if matches!(path, Path::Claims | Path::Ids) {
            return Ok(Self { path, before, floor: lowest, goes_on: false });
        }
        let floor = path.floor(conn, filter, before, lowest).await?;
        Ok(Self { path, before, floor: floor.unwrap_or(lowest), goes_on: floor.is_some() })
    }
}

impl Path {
    /// The last job of the longest walk that begins below `before`; none where the path ends earlier.
    async fn floor(
        self,
        conn: &mut PgConnection,
        filter: &JobFilter,
        before: i64,
        lowest: i64,
    ) -> Result<Option<i64>> {
        let states = names(filter);
        let floor = sqlx::query_file_scalar!(
            "src/query/floor.sql",
            format!("{self:?}"),
            before,
            lowest,
            if self == Self::All { LONGEST - 1 } else { LONGEST_SCATTERED - 1 },
            filter.tenant,
            filter.workflow,
            filter.backfill,
            states.as_deref(),
            filter.failure,
        )
        .fetch_one(conn)
        .await?;
        Ok(floor)
    }
}

/// The matches of a range, newest first.
///
/// Each is read one by one down its own index, and no further than the last match: the offset keeps the
/// planner from taking another way, and the index is that of the order, which on two columns only itself has.
#[expect(clippy::too_many_lines, reason = "a query for each path")]
async fn walk(conn: &mut PgConnection, filter: &JobFilter, range: &Range, limit: i64) -> Result<Vec<JobRow>> {
    let states = names(filter);
    let pattern = filter.text.as_deref().map(like_pattern);
    let (names, values) = filter.args();
    macro_rules! walk {
        ($($source:literal)*) => {
            job_rows!(
                from $($source)*
                " where ($1::text[] is null or s.state = any($1::text[]::queue.job_state[]))
                    and ($2::text is null or s.kind = $2)
                    and ($3::text is null or s.queue = $3)
                    and ($4::uuid is null or s.tenant_id = $4)
                    and ($5::uuid is null or s.workflow_id = $5)
                    and ($6::uuid is null or s.backfill_id = $6)
                    and ($7::timestamptz is null or s.created_at >= $7)
                    and ($8::timestamptz is null or s.created_at < $8)
                    and ($9::text is null or s.args::text ilike $9 or s.errors::text ilike $9)
                    and ($13::uuid[] is null or s.id = any($13))
                    and ($14::bigint is null or s.failure_id = $14 and s.aside in ('retryable', 'discarded'))
                    and ($15::text[] is null or not exists (
                        select from unnest($15::text[], $16::text[]) as a (name, value)
                        where s.args #>> string_to_array(a.name, '.') is distinct from a.value))
                  limit $12
                ) j order by j.seq desc limit $12",
                states.as_deref(),
                filter.kind,
                filter.queue,
                filter.tenant,
                filter.workflow,
                filter.backfill,
                filter.created_after,
                filter.created_before,
                pattern,
                range.before,
                range.floor,
                limit,
                filter.ids.as_deref(),
                filter.failure,
                names.as_deref(),
                values.as_deref(),
            )
            .fetch_all(conn)
            .await?
        };
    }
    let rows = match range.path {
        Path::All => walk!(
            "(select s.* from (
                select * from queue.jobs where seq < $10 and seq >= $11 order by seq desc offset 0
              ) s"
        ),
        Path::Ids => walk!(
            "unnest($13::uuid[]) as w (id) cross join lateral (select s.* from (
                select * from queue.jobs where id = w.id and seq < $10 and seq >= $11 offset 0
              ) s"
        ),
        Path::Failure => walk!(
            "(select s.* from (
                select * from queue.jobs
                where failure_id is not null and aside in ('retryable', 'discarded')
                  and (failure_id, seq) < ($14, $10) and (failure_id, seq) >= ($14, $11)
                order by failure_id desc, seq desc offset 0
              ) s"
        ),
        Path::Tenant => walk!(
            "(select s.* from (
                select * from queue.jobs where (tenant_id, seq) < ($4, $10) and (tenant_id, seq) >= ($4, $11)
                order by tenant_id desc, seq desc offset 0
              ) s"
        ),
        Path::Workflow => walk!(
            "(select s.* from (
                select * from queue.jobs
                where workflow_id is not null
                  and (workflow_id, seq) < ($5, $10) and (workflow_id, seq) >= ($5, $11)
                order by workflow_id desc, seq desc offset 0
              ) s"
        ),
        Path::Backfill => walk!(
            "(select s.* from (
                select * from queue.jobs
                where backfill_id is not null
                  and (backfill_id, seq) < ($6, $10) and (backfill_id, seq) >= ($6, $11)
                order by backfill_id desc, seq desc offset 0
              ) s"
        ),
        Path::Aside => walk!(
            "unnest($1::text[]::queue.job_state[]) as w (state) cross join lateral (select s.* from (
                select * from queue.jobs
                where aside is not null and (aside, seq) < (w.state, $10) and (aside, seq) >= (w.state, $11)
                order by aside desc, seq desc offset 0
              ) s"
        ),
        Path::TenantAside => walk!(
            "(select s.* from (
                select * from queue.jobs
                where aside is not null and (tenant_id, seq) < ($4, $10) and (tenant_id, seq) >= ($4, $11)
                order by tenant_id desc, seq desc offset 0
              ) s"
        ),
        Path::Claims => walk!(
            "(select s.* from (
                select distinct seq from queue.claims cross join unnest(jobs) as seq
                where seq < $10 and seq >= $11 order by seq desc
              ) c cross join lateral (select * from queue.jobs where seq = c.seq offset 0) s"
        ),
    };
    Ok(rows)
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
