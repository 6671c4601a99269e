//! Lists of workflows.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use az::SaturatingAs;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::Result;
use crate::job::state::{JobState, StateCounts};

/// Most workflows that a page examines when it looks for states.
const MAX_WALKED: i64 = 500;

/// The state of a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkflowState {
    /// None of its jobs has started.
    Waiting,
    /// A job has started, and not all jobs are final.
    Running,
    /// Every job has completed.
    Completed,
    /// All jobs are final, and one was discarded.
    Failed,
    /// All jobs are final, and one was cancelled; none was discarded.
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

    /// The state of a workflow whose jobs are in these states; `begun` says whether one of them has
    /// started.
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
    /// Only workflows of this tenant.
    pub tenant: Option<Uuid>,
    /// Only workflows of this name.
    pub name: Option<String>,
    /// Only workflows with this subject, such as a day.
    pub subject: Option<String>,
    /// Only workflows in one of these states.
    pub states: Option<Vec<WorkflowState>>,
}

/// A workflow, with its first jobs counted by state.
#[derive(Debug, Clone)]
pub struct WorkflowRow {
    /// Its id.
    pub id: Uuid,
    /// The tenant of its first job.
    pub tenant_id: Uuid,
    /// Its name, if it was given one.
    pub name: Option<String>,
    /// What it is about, such as a day.
    pub subject: Option<String>,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// The kinds of the jobs that were counted.
    pub kinds: Vec<String>,
    /// How many jobs were counted.
    pub jobs: u64,
    /// Whether it has more jobs than were counted.
    pub more: bool,
    /// The jobs that were counted, by state.
    pub counts: StateCounts,
    /// The state of the workflow by the jobs that were counted.
    pub state: WorkflowState,
    /// The database's time when this was read.
    pub observed_at: DateTime<Utc>,
}

/// A page of workflows.
#[derive(Debug)]
pub struct WorkflowPage {
    /// The workflows, newest first.
    pub rows: Vec<WorkflowRow>,
    /// Older ones have an id below this; `None` when there are none.
    pub next: Option<Uuid>,
}

/// A workflow that the walk examined.
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

/// The newest workflows that match and have an id below `before`, at most `limit`. Of each, the
/// first `counted` jobs are counted. The newest one has the greatest id, as ids are UUIDs of
/// version 7, which begin with the time. A page examines a bounded number of workflows: where few
/// match it can be short or empty, and the next page goes on from there.
///
/// # Errors
/// When the database cannot answer.
pub async fn workflows(
    conn: &mut PgConnection,
    filter: &WorkflowFilter,
    before: Option<Uuid>,
    limit: usize,
    counted: u32,
) -> Result<WorkflowPage> {
    // Without states to filter by, all workflows that are walked are on the page, but for one more.
    let walk = match filter.states {
        None => (limit + 1).saturating_as::<i64>(),
        Some(_) => MAX_WALKED,
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
            return Ok(WorkflowPage { rows, next });
        }
        rows.push(row);
    }
    Ok(WorkflowPage { rows, next: floor })
}

impl Walked {
    /// `None` when no job of it is left.
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
