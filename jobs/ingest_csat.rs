//! Takes in the satisfaction surveys of a tenant.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::{Job, JobContext, JobError};

use crate::ingest::{Ingested, Upsert, column, ingest};
use crate::sources::rows::CsatSurvey;
use crate::{App, TenantRef};

/// Takes in the satisfaction surveys of a tenant.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngestCsat {
    /// Whose rows.
    pub tenant: TenantRef,
}

impl Job for IngestCsat {
    const KIND: &'static str = "ingest_csat";
    const QUEUE: &'static str = "ingest";
    type App = App;
    type Output = Ingested;

    async fn run(&self, ctx: &JobContext<App>) -> Result<Ingested, JobError> {
        ingest::<CsatSurvey>(ctx, &self.tenant).await
    }
}

impl Upsert for CsatSurvey {
    fn key(&self) -> (&str, &str) {
        (&self.survey_id, "")
    }

    async fn upsert(conn: &mut PgConnection, tenant: Uuid, rows: &[Self]) -> sqlx::Result<()> {
        sqlx::query_file!(
            "./ingest_csat.sql",
            tenant,
            &column(rows, |row| row.survey_id.as_str()) as &[&str],
            &column(rows, |row| row.ticket_id.as_str()) as &[&str],
            &column(rows, |row| row.score),
            &column(rows, |row| row.sentiment.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.comment.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.submitted_at),
        )
        .execute(conn)
        .await?;
        Ok(())
    }
}
