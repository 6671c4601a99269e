//! Why jobs were cancelled: through what, and by whom.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;
use weirgate_queue::JobState;
use weirgate_queue::read::JobRow;

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

/// A job through which others were cancelled.
struct Culprit {
    id: Uuid,
    kind: String,
    name: Option<String>,
    state: JobState,
    /// The code of its last error.
    code: Option<String>,
}

impl Culprit {
    fn says(&self) -> String {
        let named = self.name.as_ref().filter(|name| **name != self.kind);
        let named = named.map(|name| format!(" ({name})")).unwrap_or_default();
        let code = self.code.as_ref().filter(|_| self.state == JobState::Discarded);
        let code = code.map(|code| format!(": {code}")).unwrap_or_default();
        format!("{} {}{named}, which it depended on, was {}{code}", self.kind, self.id, self.state)
    }
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
    let culprits = culprits(&mut *conn, &cancelled).await?;
    let people = if operable { people(conn, &cancelled).await? } else { HashMap::new() };
    let why = |job: &Cancelled| (job.id, job.why(culprits.get(&job.id), &people, operable));
    Ok(cancelled.iter().map(why).collect())
}

impl Cancelled {
    fn why(&self, culprit: Option<&Culprit>, people: &HashMap<Uuid, String>, operable: bool) -> WhyCancelled {
        let why = |code, message: String, job_id| WhyCancelled { code, message, job_id };
        let Some(target) = self.target() else {
            return match (culprit, &self.ended_by) {
                (Some(bulk), _) if bulk.kind == BULK_JOBS => why(
                    CancelCode::BulkCancelled,
                    format!("the bulk action {} cancelled it with all jobs that its filter took", bulk.id),
                    Some(bulk.id),
                ),
                (Some(parent), _) => why(CancelCode::JobFailed, parent.says(), Some(parent.id)),
                // The message names another job, which may be somebody else's.
                (None, Some(_)) if !operable => {
                    why(CancelCode::JobFailed, "a job that it depended on failed".to_owned(), None)
                }
                (None, Some(message)) => {
                    why(CancelCode::JobFailed, format!("a job that it depended on failed: {message}"), None)
                }
                (None, None) => {
                    why(CancelCode::BulkCancelled, "a bulk action cancelled it with others".to_owned(), None)
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

/// The jobs that others were cancelled through: of a chain of jobs that depend on each other, the
/// first one.
async fn culprits(conn: &mut PgConnection, jobs: &[Cancelled]) -> sqlx::Result<HashMap<Uuid, Culprit>> {
    let (mut ids, mut by) = (Vec::new(), Vec::new());
    for job in jobs.iter().filter(|job| job.target().is_none()) {
        ids.push(job.id);
        by.push(job.by);
    }
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        r#"
        with recursive chain as (
            -- A version from before does not say through which job.
            select asked.job, coalesce(asked.by, (
                select d.parent_id from queue.job_dependencies d where d.child_id = asked.job and d.outcome = 'failed'
                order by d.child_id, d.parent_id limit 1)) as id, 1 as depth
            from unnest($1::uuid[], $2::uuid[]) as asked (job, by)
            union all
            select c.job, coalesce(j.cancelled_by, (
                select d.parent_id from queue.job_dependencies d where d.child_id = j.id and d.outcome = 'failed'
                order by d.child_id, d.parent_id limit 1)), c.depth + 1
            from chain c
            join queue.jobs j on j.id = c.id
            where j.state = 'cancelled' and j.errors -> -1 ->> 'code' = 'dependency_failed' and j.failed_parents > 0
              and c.depth < 20
        )
        select distinct on (c.job) c.job as "job!", j.id, j.kind, j.name, j.state::text as "state!",
            j.errors -> -1 ->> 'code' as code
        from chain c join queue.jobs j on j.id = c.id
        order by c.job, c.depth desc
        "#,
        &ids,
        &by as &[Option<Uuid>]
    )
    .fetch_all(conn)
    .await?;
    let culprit = |state: String| state.parse().expect("the enum's names are the states'");
    let found = rows.into_iter().map(|row| {
        let culprit =
            Culprit { id: row.id, kind: row.kind, name: row.name, state: culprit(row.state), code: row.code };
        (row.job, culprit)
    });
    Ok(found.collect())
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
        r#"select asked.job as "job!", done.actor, done.via
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
    Ok(rows.into_iter().map(|row| (row.job, who(&row.via, &row.actor))).collect())
}

/// Somebody who did something, as a sentence names them.
pub fn who(via: &str, actor: &str) -> String {
    match (via, actor) {
        // Earlier versions called each token so.
        ("internal", "service") => "a program with the service token".to_owned(),
        ("internal", token) => format!("a program with the {token}"),
        ("dashboard", actor) => actor.to_owned(),
        (via, actor) => format!("{actor} ({via})"),
    }
}
