//! Takes in the time entries of a tenant.

use az::SaturatingAs;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use weirgate_identity::TenantRef;
use weirgate_queue::{Job, JobContext, JobError, column};

use crate::App;
use crate::ingest::{IngestTurn, Ingested, Upsert, ingest};
use crate::sources::rows::TimeEntry;

/// Takes in the time entries of a tenant.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngestTimeEntries {
    /// Whose rows.
    pub tenant: TenantRef,
}

impl Job for IngestTimeEntries {
    const KIND: &'static str = "ingest_time_entries";
    const QUEUE: &'static str = "ingest";
    type App = App;
    type Output = Ingested;

    async fn run(&self, ctx: &JobContext<App>) -> Result<Ingested, JobError> {
        ingest::<TimeEntry>(ctx, &self.tenant).await
    }
}

impl Upsert for TimeEntry {
    fn key(&self) -> (&str, &str) {
        (&self.cw_time_entry_id, "")
    }

    fn updated_at(&self) -> Option<DateTime<Utc>> {
        self.updated_at_remote
    }

    async fn upsert(conn: &mut PgConnection, turn: &IngestTurn, rows: &[Self]) -> sqlx::Result<()> {
        sqlx::query_file!(
            "./jobs/ingest_time_entries.sql",
            turn.tenant,
            turn.began_at,
            &column(rows, |row| row.cw_time_entry_id.as_str()) as &[&str],
            &column(rows, |row| row.cw_ticket_id.as_str()) as &[&str],
            &column(rows, |row| row.member.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.work_type.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.billable),
            &column(rows, |row| row.minutes.saturating_as::<i32>()),
            &column(rows, |row| row.notes.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.date_worked),
            &column(rows, |row| row.updated_at_remote) as &[Option<DateTime<Utc>>],
        )
        .execute(conn)
        .await?;
        Ok(())
    }

    async fn mark_unseen(conn: &mut PgConnection, turn: &IngestTurn, since: i64) -> sqlx::Result<u64> {
        let marked = sqlx::query!(
            "with seen as materialized (
                select unnest(keys) as key from msp.ingest_seen
                where tenant_id = $1 and dataset = $2 and generation = $3
             )
             update msp.raw_time_entries t set deleted_at = queue.now(), read_at = $4
             where t.tenant_id = $1 and t.deleted_at is null and not exists (select from seen s where s.key = t.cw_time_entry_id)",
            turn.tenant,
            turn.dataset.name(),
            since,
            turn.began_at
        )
        .execute(conn)
        .await?;
        Ok(marked.rows_affected())
    }
}
