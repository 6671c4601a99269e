//! Workflows as people look at them.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::JobRow;
use crate::error::Result;
use crate::job::state::{JobState, StateCounts};

/// Workflows that are looked at for a page.
const WALKED: i64 = 500;

/// Where a workflow stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkflowState {
    /// None of its jobs has started.
    Waiting,
    /// It has begun, and is not over.
    Running,
    /// Every job has completed.
    Completed,
    /// It is over, and a job was discarded.
    Failed,
    /// It is over, and a job was cancelled; none was discarded.
    Cancelled,
}

impl WorkflowState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Running, Self::Completed, Self::Failed, Self::Cancelled];

    /// The name in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Of a workflow whose jobs are in these states; `begun` says whether one of them has started.
    pub fn of(counts: &StateCounts, begun: bool) -> Self {
        if counts.live() > 0 {
            return if begun { Self::Running } else { Self::Waiting };
        }
        match (counts.of(JobState::Discarded) > 0, counts.of(JobState::Cancelled) > 0) {
            (true, _) => Self::Failed,
            (false, true) => Self::Cancelled,
            (false, false) => Self::Completed,
        }
    }
}

impl fmt::Display for WorkflowState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for WorkflowState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| "expected waiting, running, completed, failed or cancelled".to_owned())
    }
}

/// Which workflows to list; empty fields do not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkflowFilter {
    /// Of this tenant.
    pub tenant: Option<Uuid>,
    /// Of this name.
    pub name: Option<String>,
    /// About this, such as a day.
    pub subject: Option<String>,
    /// In one of these states.
    pub states: Option<Vec<WorkflowState>>,
}

/// A workflow, and how many of its first jobs are in which state.
#[derive(Debug, Clone)]
pub struct WorkflowRow {
    /// A UUID.
    pub id: Uuid,
    /// Of its first job.
    pub tenant_id: Uuid,
    /// Its name, if it was given one.
    pub name: Option<String>,
    /// What it is about, such as a day.
    pub subject: Option<String>,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// The kinds of the jobs that were counted.
    pub kinds: Vec<String>,
    /// How many were counted.
    pub jobs: u64,
    /// Whether there are more.
    pub more: bool,
    /// Those that were counted, by their states.
    pub counts: StateCounts,
    /// Where those stand.
    pub state: WorkflowState,
    /// The database's time of this look.
    pub observed_at: DateTime<Utc>,
}

/// A page of workflows.
#[derive(Debug)]
pub struct WorkflowsListed {
    /// Newest first.
    pub rows: Vec<WorkflowRow>,
    /// Older ones have an id below this; none when there are none.
    pub next: Option<Uuid>,
}

/// What the database answers of one that was walked past.
struct Walked {
    id: Uuid,
    is_last: bool,
    tenant_id: Uuid,
    name: Option<String>,
    subject: Option<String>,
    created_at: DateTime<Utc>,
    kinds: Option<String>,
    counts: Option<Json<HashMap<JobState, i64>>>,
    begun: Option<bool>,
    observed_at: DateTime<Utc>,
}

/// The newest workflows that match and have an id below `before`: at most `limit`, of each of which
/// the first `counted` jobs are counted. Newest is what has the greatest id, which is of version 7
/// and begins with the time. A page looks at a bounded number: where few match it can be short, or
/// empty, and the next one goes on from there.
///
/// # Errors
/// When the database cannot answer.
pub async fn workflows(
    conn: &mut PgConnection,
    filter: &WorkflowFilter,
    before: Option<Uuid>,
    limit: usize,
    counted: u32,
) -> Result<WorkflowsListed> {
    // Without a state to look for, what is walked past is what is shown, and one more.
    let walk = match filter.states {
        None => i64::try_from(limit + 1).unwrap_or(i64::MAX),
        Some(_) => WALKED,
    };
    let walked = sqlx::query_file_as!(
        Walked,
        "src/read/workflows.sql",
        filter.tenant,
        filter.subject,
        filter.name,
        before.unwrap_or(Uuid::max()),
        walk,
        i64::from(counted),
    )
    .fetch_all(conn)
    .await?;
    let more = walked.last().is_some_and(|last| !last.is_last);
    let floor = walked.last().filter(|_| more).map(|last| last.id);
    let mut rows = Vec::with_capacity(limit);
    for walked in walked {
        let Some(row) = walked.row(u64::from(counted)) else { continue };
        if filter.states.as_ref().is_some_and(|states| !states.contains(&row.state)) {
            continue;
        }
        if rows.len() == limit {
            let next = rows.last().map(|row: &WorkflowRow| row.id);
            return Ok(WorkflowsListed { rows, next });
        }
        rows.push(row);
    }
    Ok(WorkflowsListed { rows, next: floor })
}

impl Walked {
    /// None where no job of it is left.
    fn row(self, counted: u64) -> Option<WorkflowRow> {
        let mut counts = StateCounts::default();
        for (state, jobs) in self.counts?.0 {
            counts.change(state, jobs);
        }
        let jobs = counts.total().unsigned_abs();
        let mut kinds: Vec<String> = self.kinds.unwrap_or_default().split(' ').map(str::to_owned).collect();
        kinds.sort_unstable();
        kinds.dedup();
        Some(WorkflowRow {
            id: self.id,
            tenant_id: self.tenant_id,
            name: self.name,
            subject: self.subject,
            created_at: self.created_at,
            kinds,
            jobs: jobs.min(counted),
            more: jobs > counted,
            state: WorkflowState::of(&counts, self.begun.unwrap_or(false)),
            counts,
            observed_at: self.observed_at,
        })
    }
}

/// A job with those it waits on and those that wait on it, at most `limit` of either, in order of
/// enqueueing.
pub async fn neighbours(conn: &mut PgConnection, job: Uuid, limit: i64) -> Result<Vec<JobRow>> {
    let rows = job_rows!(
        from "(
            (select parent_id as id from queue.job_dependencies where child_id = $1 order by child_id, parent_id limit $2)
            union (select child_id from queue.job_dependencies where parent_id = $1 order by parent_id, child_id limit $2)
            union select $1
        ) as near cross join lateral (select * from queue.jobs where id = near.id offset 0) j order by j.seq",
        job,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
