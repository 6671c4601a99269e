//! Takes in the security alerts of a tenant.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::{Job, JobContext, JobError};

use crate::ingest::{Ingested, Upsert, column, ingest};
use crate::sources::rows::SecurityAlert;
use crate::{App, TenantRef};

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

    async fn upsert(conn: &mut PgConnection, tenant: Uuid, rows: &[Self]) -> sqlx::Result<()> {
        sqlx::query_file!(
            "./ingest_security_alerts.sql",
            tenant,
            &column(rows, |row| row.source.as_str()) as &[&str],
            &column(rows, |row| row.alert_id.as_str()) as &[&str],
            &column(rows, |row| row.severity.as_str()) as &[&str],
            &column(rows, |row| row.title.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.device.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.status.as_str()) as &[&str],
            &column(rows, |row| row.detected_at),
        )
        .execute(conn)
        .await?;
        Ok(())
    }
}
