//! Takes in the time entries of a tenant.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::{Job, JobContext, JobError};

use crate::ingest::{Ingested, Upsert, column, ingest};
use crate::sources::rows::TimeEntry;
use crate::{App, TenantRef};

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

    async fn upsert(conn: &mut PgConnection, tenant: Uuid, rows: &[Self]) -> sqlx::Result<()> {
        sqlx::query_file!(
            "./ingest_time_entries.sql",
            tenant,
            &column(rows, |row| row.cw_time_entry_id.as_str()) as &[&str],
            &column(rows, |row| row.cw_ticket_id.as_str()) as &[&str],
            &column(rows, |row| row.member.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.work_type.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.billable),
            &column(rows, |row| i32::try_from(row.minutes).unwrap_or(i32::MAX)),
            &column(rows, |row| row.notes.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.date_worked),
        )
        .execute(conn)
        .await?;
        Ok(())
    }
}
