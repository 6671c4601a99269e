//! Why jobs were cancelled: through what, and by whom.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;
use weirgate_identity::audit::Via;
use weirgate_queue::JobState;
use weirgate_queue::read::JobRow;
use weirgate_queue::workflow::{self, Cause};

/// The kind of the jobs that do something to all jobs of a filter. Permanent, as rows have it.
pub const BULK_JOBS: &str = "bulk_jobs";

/// Why a job was cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WhyCancelled {
    pub code: CancelCode,
    /// For people.
    pub message: String,
    /// With `job_failed`, the job that failed or was cancelled first; with `bulk_cancelled`, the
    /// one that did it.
    #[schema(required = true)]
    pub job_id: Option<Uuid>,
}

/// Why a job was cancelled, for programs: `cancelled` by itself, `workflow_cancelled`,
/// `backfill_cancelled` with all that belongs to it, `bulk_cancelled` with all that a filter took,
/// `job_failed` when one that it depended on was discarded or cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CancelCode {
    Cancelled,
    WorkflowCancelled,
    BackfillCancelled,
    BulkCancelled,
    JobFailed,
}

/// What is to be known of a cancelled job.
struct Cancelled {
    id: Uuid,
    /// Through what, where it is known.
    by: Option<Uuid>,
    workflow: Option<Uuid>,
    backfill: Option<Uuid>,
    /// What its last error says, if that was its end.
    ended_by: Option<String>,
    /// When that was.
    at: Option<DateTime<Utc>>,
}

impl Cancelled {
    fn of(row: &JobRow) -> Option<Self> {
        if row.state() != JobState::Cancelled {
            return None;
        }
        let last = row.errors.as_array().and_then(|errors| errors.last());
        let ended_by =
            last.filter(|error| error["code"] == "dependency_failed").map(|error| &error["message"]);
        Some(Self {
            id: row.id,
            by: row.cancelled_by,
            workflow: row.workflow_id,
            backfill: row.backfill_id,
            ended_by: ended_by.and_then(|message| message.as_str()).map(str::to_owned),
            at: row.finalized_at,
        })
    }

    /// What somebody did something to, so that it ended: the job, its workflow or its backfill;
    /// none where it was another job's end.
    fn target(&self) -> Option<Uuid> {
        match self.by {
            Some(by) => [Some(self.id), self.workflow, self.backfill].contains(&Some(by)).then_some(by),
            // A version from before does not say.
            None => Some(self.id).filter(|_| self.ended_by.is_none()),
        }
    }
}

/// A sentence on the job that another one depended on.
fn says(cause: &Cause) -> String {
    let named = cause.name.as_ref().filter(|name| **name != cause.kind);
    let named = named.map(|name| format!(" ({name})")).unwrap_or_default();
    let code = cause.code.as_ref().filter(|_| cause.state == JobState::Discarded);
    let code = code.map(|code| format!(": {code}")).unwrap_or_default();
    format!("{} {}{named}, which it depended on, was {}{code}", cause.kind, cause.id, cause.state)
}

/// Why those of the jobs that are cancelled are, by their ids. `operable` callers are told who did
/// it.
pub async fn reasons(
    conn: &mut PgConnection,
    rows: &[JobRow],
    operable: bool,
) -> sqlx::Result<HashMap<Uuid, WhyCancelled>> {
    let cancelled: Vec<Cancelled> = rows.iter().filter_map(Cancelled::of).collect();
    if cancelled.is_empty() {
        return Ok(HashMap::new());
    }
    let causes = causes(&mut *conn, &cancelled).await?;
    let people = if operable { people(conn, &cancelled).await? } else { HashMap::new() };
    let why = |job: &Cancelled| (job.id, job.why(causes.get(&job.id), &people, operable));
    Ok(cancelled.iter().map(why).collect())
}

impl Cancelled {
    fn why(&self, cause: Option<&Cause>, people: &HashMap<Uuid, String>, operable: bool) -> WhyCancelled {
        let why = |code, message: String, job_id| WhyCancelled { code, message, job_id };
        let Some(target) = self.target() else {
            return match (cause, &self.ended_by) {
                (Some(bulk), _) if bulk.kind == BULK_JOBS => why(
                    CancelCode::BulkCancelled,
                    format!("it was cancelled by the bulk action {}", bulk.id),
                    Some(bulk.id),
                ),
                (Some(parent), _) => why(CancelCode::JobFailed, says(parent), Some(parent.id)),
                // The message names another job, which may be somebody else's.
                (None, Some(_)) if !operable => {
                    why(CancelCode::JobFailed, "a job that it depended on failed".to_owned(), None)
                }
                (None, Some(message)) => {
                    why(CancelCode::JobFailed, format!("a job that it depended on failed: {message}"), None)
                }
                (None, None) => {
                    why(CancelCode::BulkCancelled, "it was cancelled by a bulk action".to_owned(), None)
                }
            };
        };
        let by = people.get(&self.id).map(|who| format!(" by {who}")).unwrap_or_default();
        let (code, what) = if Some(target) == self.workflow {
            (CancelCode::WorkflowCancelled, "its workflow")
        } else if Some(target) == self.backfill {
            (CancelCode::BackfillCancelled, "its backfill")
        } else {
            (CancelCode::Cancelled, "it")
        };
        why(code, format!("{what} was cancelled{by}"), None)
    }
}

/// The jobs that others were cancelled through, where it was a job.
async fn causes(conn: &mut PgConnection, jobs: &[Cancelled]) -> sqlx::Result<HashMap<Uuid, Cause>> {
    let through_jobs = jobs.iter().filter(|job| job.target().is_none());
    let asked: Vec<(Uuid, Option<Uuid>)> = through_jobs.map(|job| (job.id, job.by)).collect();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let found = workflow::causes(conn, &asked).await?;
    Ok(found.into_iter().map(|cause| (cause.job, cause)).collect())
}

/// Who cancelled each of the jobs, or all of which it is a part: the last one who did before it
/// ended.
async fn people(conn: &mut PgConnection, jobs: &[Cancelled]) -> sqlx::Result<HashMap<Uuid, String>> {
    let (mut ids, mut targets, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for job in jobs {
        if let Some(target) = job.target() {
            ids.push(job.id);
            targets.push(target.to_string());
            ends.push(job.at);
        }
    }
    let rows = sqlx::query!(
        r#"select asked.job as "job!", done.actor, done.via as "via: Via"
           from unnest($1::uuid[], $2::text[], $3::timestamptz[]) as asked (job, target, ended_at)
           cross join lateral (
               select actor, via from identity.audit
               where target = asked.target and action in ('job.cancel', 'workflow.cancel', 'backfill.cancel')
                 and (asked.ended_at is null or at <= asked.ended_at)
               order by id desc limit 1
           ) done"#,
        &ids,
        &targets,
        &ends as &[Option<DateTime<Utc>>]
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.job, who(row.via, &row.actor))).collect())
}

/// Somebody who did something, as a sentence names them.
pub fn who(via: Via, actor: &str) -> String {
    match (via, actor) {
        // Earlier versions called each token so.
        (Via::Internal, "service") => "a program with the service token".to_owned(),
        (Via::Internal, token) => format!("a program with the {token}"),
        (Via::Dashboard | Via::Account | Via::Api, actor) => actor.to_owned(),
        (Via::Cli, actor) => format!("{actor} ({via})"),
    }
}
