//! Takes in the security alerts of a tenant.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use weirgate_identity::TenantRef;
use weirgate_queue::{Job, JobContext, JobError, column};

use crate::App;
use crate::ingest::{IngestTurn, Ingested, Upsert, ingest};
use crate::sources::rows::SecurityAlert;

/// Takes in the security alerts of a tenant.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngestSecurityAlerts {
    /// Whose rows.
    pub tenant: TenantRef,
}

impl Job for IngestSecurityAlerts {
    const KIND: &'static str = "ingest_security_alerts";
    const QUEUE: &'static str = "ingest";
    type App = App;
    type Output = Ingested;

    async fn run(&self, ctx: &JobContext<App>) -> Result<Ingested, JobError> {
        ingest::<SecurityAlert>(ctx, &self.tenant).await
    }
}

impl Upsert for SecurityAlert {
    fn key(&self) -> (&str, &str) {
        (&self.source, &self.alert_id)
    }

    fn updated_at(&self) -> Option<DateTime<Utc>> {
        self.updated_at_remote
    }

    async fn upsert(conn: &mut PgConnection, turn: &IngestTurn, rows: &[Self]) -> sqlx::Result<()> {
        sqlx::query_file!(
            "./jobs/ingest_security_alerts.sql",
            turn.tenant,
            turn.began_at,
            &column(rows, |row| row.source.as_str()) as &[&str],
            &column(rows, |row| row.alert_id.as_str()) as &[&str],
            &column(rows, |row| row.severity.as_str()) as &[&str],
            &column(rows, |row| row.title.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.device.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.status.as_str()) as &[&str],
            &column(rows, |row| row.detected_at),
            &column(rows, |row| row.updated_at_remote) as &[Option<DateTime<Utc>>],
        )
        .execute(conn)
        .await?;
        Ok(())
    }

    async fn mark_unseen(conn: &mut PgConnection, turn: &IngestTurn, since: i64) -> sqlx::Result<u64> {
        let marked = sqlx::query!(
            "with seen as materialized (
                select unnest(keys) as key, unnest(parts) as part from msp.ingest_seen
                where tenant_id = $1 and dataset = $2 and generation = $3
             )
             update msp.raw_security_alerts t set deleted_at = queue.now(), read_at = $4
             where t.tenant_id = $1 and t.deleted_at is null and not exists (select from seen s where s.key = t.source and s.part = t.alert_id)",
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
