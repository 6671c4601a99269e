//! Acts that make something or set it going, by whichever way they are asked for.

use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::Enqueued;
use weirgate_queue::backfill::NewBackfill;
use weirgate_queue::control::bulk::BulkAction;
use weirgate_queue::read::{self, JobFilter};

use super::Actor;

/// Most jobs that an entry names.
const MOST_NAMED: usize = 100;

/// What an entry calls a retry of all that failed in a workflow.
pub const WORKFLOW_RETRY: &str = "workflow.retry_failed";

impl Actor {
    /// Notes that a job was asked for by hand; where that is on its way already, it says so.
    pub async fn note_enqueued(
        &self,
        conn: &mut PgConnection,
        enqueued: Enqueued,
        tenant: Uuid,
        what: Value,
    ) -> sqlx::Result<()> {
        let Enqueued { id, duplicate } = enqueued;
        let detail = if duplicate {
            json!({ "before": what, "after": what, "duplicate": true })
        } else {
            json!({ "before": null, "after": what })
        };
        self.note(conn, "job.enqueue", &id.to_string(), Some(tenant), &detail).await
    }

    /// Notes that a backfill was made, of the tenants that it names.
    pub async fn note_backfill(
        &self,
        conn: &mut PgConnection,
        id: Uuid,
        new: &NewBackfill,
        tenants: &[Uuid],
    ) -> sqlx::Result<()> {
        let is_named = new.spec["tenants"].is_array();
        let alone = match tenants {
            [tenant] if is_named => Some(*tenant),
            _ => None,
        };
        let mut made = new.spec.clone();
        made["kind"] = json!(new.kind);
        made["priority"] = json!(new.priority);
        made["share"] = json!(new.settings.share);
        made["max_running"] = json!(new.settings.max_running);
        let detail = json!({ "before": null, "after": made });
        self.note(conn, "backfill.create", &id.to_string(), alone, &detail).await
    }

    /// Notes that `job` was made, which does something to all jobs of a filter; how many it did it
    /// to is in that job.
    pub async fn note_bulk(
        &self,
        conn: &mut PgConnection,
        (action, filter): (BulkAction, &JobFilter),
        target: &str,
        job: Uuid,
    ) -> sqlx::Result<()> {
        let detail = json!({ "before": null, "after": { "job": job }, "filter": filter });
        self.note(conn, &format!("jobs.{action}"), target, filter.tenant, &detail).await
    }

    /// Notes that a schedule was run by hand, for one tenant or for all of them.
    pub async fn note_schedule_run(
        &self,
        conn: &mut PgConnection,
        name: &str,
        tenant: Option<Uuid>,
        jobs: &[Uuid],
    ) -> sqlx::Result<()> {
        let named = &jobs[..jobs.len().min(MOST_NAMED)];
        let made = json!({ "enqueued": jobs.len(), "jobs": named });
        let detail = json!({ "before": null, "after": made });
        self.note(conn, "schedule.run", name, tenant, &detail).await
    }

    /// Notes that what was not final in a workflow was cancelled, or told to end.
    pub async fn note_workflow_cancel(
        &self,
        conn: &mut PgConnection,
        workflow: Uuid,
        jobs: u64,
    ) -> sqlx::Result<()> {
        let tenant = read::tenant_of_workflow(conn, workflow).await?;
        let detail = json!({ "before": { "open_jobs": jobs }, "after": { "open_jobs": 0 } });
        self.note(conn, "workflow.cancel", &workflow.to_string(), tenant, &detail).await
    }

    /// Notes that what had failed in a workflow was retried, at once or by a job: `detail` says how
    /// many jobs, or which job does it.
    pub async fn note_workflow_retry(
        &self,
        conn: &mut PgConnection,
        workflow: Uuid,
        detail: &Value,
    ) -> sqlx::Result<()> {
        let tenant = read::tenant_of_workflow(conn, workflow).await?;
        self.note(conn, WORKFLOW_RETRY, &workflow.to_string(), tenant, detail).await
    }

    /// Notes that a schema goes from one version to another, where the audit itself is there.
    pub async fn note_migration(
        &self,
        conn: &mut PgConnection,
        action: &str,
        schema: &str,
        (from, to): (i64, i64),
    ) -> sqlx::Result<()> {
        let audit = sqlx::query_scalar!(r#"select to_regclass('identity.audit') is not null as "there!""#);
        if !audit.fetch_one(&mut *conn).await? {
            return Ok(());
        }
        let detail = json!({ "before": { "version": from }, "after": { "version": to } });
        self.note(conn, action, schema, None, &detail).await
    }
}
