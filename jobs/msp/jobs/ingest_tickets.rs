//! Takes in the tickets of a tenant.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use weirgate_identity::TenantRef;
use weirgate_queue::{Job, JobContext, JobError, column};

use crate::App;
use crate::ingest::{IngestTurn, Ingested, Upsert, ingest};
use crate::sources::rows::Ticket;

/// Takes in the tickets of a tenant.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngestTickets {
    /// Whose rows.
    pub tenant: TenantRef,
}

impl Job for IngestTickets {
    const KIND: &'static str = "ingest_tickets";
    const QUEUE: &'static str = "ingest";
    type App = App;
    type Output = Ingested;

    async fn run(&self, ctx: &JobContext<App>) -> Result<Ingested, JobError> {
        ingest::<Ticket>(ctx, &self.tenant).await
    }
}

impl Upsert for Ticket {
    fn key(&self) -> (&str, &str) {
        (&self.cw_ticket_id, "")
    }

    fn updated_at(&self) -> Option<DateTime<Utc>> {
        Some(self.updated_at_remote)
    }

    async fn upsert(conn: &mut PgConnection, turn: &IngestTurn, rows: &[Self]) -> sqlx::Result<()> {
        sqlx::query_file!(
            "./jobs/ingest_tickets.sql",
            turn.tenant,
            turn.began_at,
            &column(rows, |row| row.cw_ticket_id.as_str()) as &[&str],
            &column(rows, |row| row.board.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.status.as_str()) as &[&str],
            &column(rows, |row| row.priority.as_str()) as &[&str],
            &column(rows, |row| row.summary.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.description.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.company.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.owner.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.created_at_remote),
            &column(rows, |row| row.updated_at_remote),
            &column(rows, |row| row.closed_at_remote) as &[Option<DateTime<Utc>>],
            &column(rows, |row| row.sla_status.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.estimated_hours) as &[Option<f64>],
            &column(rows, |row| row.closed_flag) as &[Option<bool>],
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
             update msp.raw_tickets t set deleted_at = queue.now(), read_at = $4
             where t.tenant_id = $1 and t.deleted_at is null and not exists (select from seen s where s.key = t.cw_ticket_id)",
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
