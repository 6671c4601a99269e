//! Why a job is not running: from its own state, and from what claims are decided on.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use weirgate_queue::JobState;
use weirgate_queue::lanes::{Blocked, QueuePosition};
use weirgate_queue::read::{self, JobRow};

use crate::schemas;

/// Why a job is not running.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct WhyNotRunning {
    pub code: WhyCode,
    /// For people.
    pub message: String,
    /// When that will have passed, where it is known.
    #[schema(required = true)]
    pub until: Option<DateTime<Utc>>,
    /// With `behind_in_lane`, the jobs before it (those of its own priority are counted to 100);
    /// with `waiting_on_jobs`, the jobs waited on.
    #[schema(required = true)]
    count: Option<i64>,
    /// With `waiting_on_jobs`, the first of the jobs waited on; null where that is not the
    /// caller's.
    #[schema(required = true)]
    pub waits_on: Option<WaitsOn>,
    /// Where that can be changed; for pages.
    #[serde(skip)]
    pub lies_in: LiesIn,
}

/// A job that another one waits on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WaitsOn {
    pub id: Uuid,
    #[schema(example = "ingest_tickets")]
    pub kind: String,
    /// What it is called within its workflow.
    #[schema(required = true, example = "tickets")]
    name: Option<String>,
    #[schema(schema_with = schemas::job_state)]
    state: JobState,
}

impl WaitsOn {
    fn of(row: &JobRow) -> Option<Self> {
        let read::WaitsOn { id, kind, name, state } = row.waits_on.as_ref()?.0.clone();
        Some(Self { id, kind, name, state })
    }

    /// For people: what it is, and where it stands.
    fn says(&self) -> String {
        let named = self.name.as_ref().filter(|name| **name != self.kind);
        let named = named.map(|name| format!(" ({name})")).unwrap_or_default();
        format!("{} {}{named}, which is {}", self.kind, self.id, self.state)
    }
}

/// What would have to change for a job to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiesIn {
    /// Its own time.
    Time,
    /// The jobs it waits on.
    Parents,
    /// The workers of its queue.
    Workers,
    /// The settings of its queue.
    Queue,
    /// The settings of its tenant in its queue.
    Lane,
    /// The settings of its backfill.
    Backfill,
    /// The jobs before it.
    Order,
}

/// Why a job is not running, for programs. The first of these that holds:
///
/// `scheduled`, `retry_backoff`, `waiting_on_jobs` tell its own state. Of a job that may start:
/// `no_live_worker` takes from its queue; `queue_paused`, `tenant_paused` (its tenant in that
/// queue) or `backfill_paused`; `tenant_at_max_running` (its tenant's lane, its backfill, or the
/// whole queue); `rate_limited` (its lane, or the whole queue); else it is `behind_in_lane`.
/// `message` tells which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhyCode {
    Scheduled,
    RetryBackoff,
    WaitingOnJobs,
    RateLimited,
    TenantAtMaxRunning,
    QueuePaused,
    TenantPaused,
    BackfillPaused,
    NoLiveWorker,
    BehindInLane,
}

impl WhyNotRunning {
    fn new(code: WhyCode, lies_in: LiesIn, message: String) -> Self {
        Self { code, message, until: None, count: None, waits_on: None, lies_in }
    }

    fn until(self, at: DateTime<Utc>) -> Self {
        Self { until: Some(at), ..self }
    }

    fn count(self, count: i64) -> Self {
        Self { count: Some(count), ..self }
    }

    /// Why `row`, a job of `tenant`, is not running; `position` is where it stands if it may start.
    pub fn of(row: &JobRow, tenant: &str, position: Option<&QueuePosition>) -> Option<Self> {
        let due = row.scheduled_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let why = match row.state() {
            JobState::Waiting => Self::waiting(row),
            JobState::Scheduled => {
                Self::new(WhyCode::Scheduled, LiesIn::Time, format!("it is scheduled for {due}"))
                    .until(row.scheduled_at)
            }
            JobState::Retryable => {
                let message = format!("attempt {} failed; the next one is due at {due}", row.attempt);
                Self::new(WhyCode::RetryBackoff, LiesIn::Time, message).until(row.scheduled_at)
            }
            JobState::Available if row.has_worker == Some(false) => {
                let message = format!("no live worker serves queue {:?}", row.queue);
                Self::new(WhyCode::NoLiveWorker, LiesIn::Workers, message)
            }
            JobState::Available => match position.and_then(|it| Some((it, it.blocked?))) {
                Some((position, blocked)) => Self::blocked(&row.queue, tenant, position, blocked),
                None => Self::behind(row, position),
            },
            JobState::Running | JobState::Completed | JobState::Cancelled | JobState::Discarded => {
                return None;
            }
        };
        Some(why)
    }

    fn waiting(row: &JobRow) -> Self {
        let pending = i64::from(row.pending_parents);
        let waits_on = WaitsOn::of(row);
        let message = match &waits_on {
            None => format!("it waits for {}", jobs(pending)),
            Some(first) if pending <= 1 => format!("it waits for {}", first.says()),
            Some(first) => format!("it waits for {}, and for {} more", first.says(), pending - 1),
        };
        Self { waits_on, ..Self::new(WhyCode::WaitingOnJobs, LiesIn::Parents, message).count(pending) }
    }

    fn blocked(queue: &str, tenant: &str, position: &QueuePosition, blocked: Blocked) -> Self {
        let running = jobs(position.running);
        let wait = |until| seconds(until - position.now);
        match blocked {
            Blocked::QueuePaused => {
                Self::new(WhyCode::QueuePaused, LiesIn::Queue, format!("queue {queue:?} is paused"))
            }
            Blocked::LanePaused => {
                let message = format!("{tenant} is paused in queue {queue:?}");
                Self::new(WhyCode::TenantPaused, LiesIn::Lane, message)
            }
            Blocked::BackfillPaused => {
                Self::new(WhyCode::BackfillPaused, LiesIn::Backfill, "its backfill is paused".to_owned())
            }
            Blocked::LaneFull { max_running } => {
                let message = format!(
                    "{tenant} runs {running} in queue {queue:?}, and its max_running is {max_running}"
                );
                Self::new(WhyCode::TenantAtMaxRunning, LiesIn::Lane, message)
            }
            Blocked::QueueFull { max_running } => {
                let message =
                    format!("queue {queue:?} runs as many jobs as its max_running allows ({max_running})");
                Self::new(WhyCode::TenantAtMaxRunning, LiesIn::Queue, message)
            }
            Blocked::BackfillFull { max_running } => {
                let message = format!(
                    "its backfill runs as many jobs in queue {queue:?} as its max_running allows ({max_running})"
                );
                Self::new(WhyCode::TenantAtMaxRunning, LiesIn::Backfill, message)
            }
            Blocked::Throttled(until) => {
                let message = format!("rate limit: {tenant} may start its next job in {}", wait(until));
                Self::new(WhyCode::RateLimited, LiesIn::Lane, message).until(until)
            }
            Blocked::QueueThrottled(until) => {
                let message =
                    format!("rate limit: queue {queue:?} may start its next job in {}", wait(until));
                Self::new(WhyCode::RateLimited, LiesIn::Queue, message).until(until)
            }
        }
    }

    fn behind(row: &JobRow, position: Option<&QueuePosition>) -> Self {
        let ahead = position.map_or(0, |it| it.ahead);
        let whose = if row.backfill_id.is_some() { "backfill" } else { "tenant" };
        let message = format!("{} of its {whose} are before it in queue {:?}", jobs(ahead), row.queue);
        Self::new(WhyCode::BehindInLane, LiesIn::Order, message).count(ahead)
    }
}

fn jobs(count: i64) -> String {
    if count == 1 { "1 job".to_owned() } else { format!("{count} jobs") }
}

/// Tenths of a second, rounded up.
fn seconds(wait: TimeDelta) -> String {
    let tenths = (wait.num_milliseconds().max(0) + 99) / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_rounded_up() {
        for (ms, text) in [(0, "0.0 s"), (1, "0.1 s"), (100, "0.1 s"), (2_010, "2.1 s"), (60_000, "60.0 s")] {
            assert_eq!(seconds(TimeDelta::milliseconds(ms)), text);
        }
    }
}
