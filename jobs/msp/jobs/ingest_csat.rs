//! Takes in the satisfaction surveys of a tenant.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use weirgate_identity::TenantRef;
use weirgate_queue::{Job, JobContext, JobError, column};

use crate::App;
use crate::ingest::{IngestTurn, Ingested, Upsert, ingest};
use crate::sources::rows::CsatSurvey;

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

    fn updated_at(&self) -> Option<DateTime<Utc>> {
        self.updated_at_remote
    }

    async fn upsert(conn: &mut PgConnection, turn: &IngestTurn, rows: &[Self]) -> sqlx::Result<()> {
        sqlx::query_file!(
            "./jobs/ingest_csat.sql",
            turn.tenant,
            turn.began_at,
            &column(rows, |row| row.survey_id.as_str()) as &[&str],
            &column(rows, |row| row.ticket_id.as_str()) as &[&str],
            &column(rows, |row| row.score),
            &column(rows, |row| row.sentiment.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.comment.as_deref()) as &[Option<&str>],
            &column(rows, |row| row.submitted_at),
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
             update msp.raw_csat_surveys t set deleted_at = queue.now(), read_at = $4
             where t.tenant_id = $1 and t.deleted_at is null and not exists (select from seen s where s.key = t.survey_id)",
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
