//! Rows of sources that could not be taken, newest first: what the API, the dashboard and the
//! command list.

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::sources::Dataset;

/// A row of a source that could not be taken.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RejectedRow {
    pub tenant_id: Uuid,
    /// The tenant's slug.
    #[schema(example = "tenant_demo_cca")]
    pub tenant: String,
    #[schema(example = "tickets")]
    pub dataset: String,
    /// The file or address that it came from.
    #[schema(example = "tenant_demo_cca/tickets.jsonl")]
    pub origin: String,
    /// Its line or number in that, from 1.
    #[schema(example = 17)]
    pub line: i64,
    /// What is wrong with it.
    #[schema(example = "cw_ticket_id: is missing")]
    pub reason: String,
    /// The row itself, its first 2,000 characters; null where it is no text.
    #[schema(required = true)]
    pub content: Option<String>,
    /// The job that found it.
    pub job_id: Uuid,
    pub rejected_at: DateTime<Utc>,
}

/// Which of them. A row has to fulfil all of it.
#[derive(Debug, Default)]
pub struct Filter {
    pub tenant: Option<Uuid>,
    pub dataset: Option<Dataset>,
    /// Found on this day of its tenant's time zone.
    pub date: Option<NaiveDate>,
    pub job: Option<Uuid>,
}

/// Where a row stands in the list: when it was found, dataset, tenant, origin, line.
pub type Place = (DateTime<Utc>, String, Uuid, String, i64);

impl RejectedRow {
    pub fn place(&self) -> Place {
        (self.rejected_at, self.dataset.clone(), self.tenant_id, self.origin.clone(), self.line)
    }
}

/// The rows after a place, or the newest; in a transaction. What was found at once comes in the
/// order of its source.
pub async fn list<'c>(
    conn: &'c mut PgConnection,
    filter: &Filter,
    after: Option<&Place>,
    limit: i64,
) -> sqlx::Result<BoxStream<'c, sqlx::Result<RejectedRow>>> {
    // Each filter has its index: a plan for all of them would read whatever there is.
    sqlx::query!("set local plan_cache_mode = force_custom_plan").execute(&mut *conn).await?;
    let (at, dataset, tenant, origin, line) = match after {
        Some((at, dataset, tenant, origin, line)) => {
            (Some(*at), Some(dataset.clone()), Some(*tenant), Some(origin.clone()), Some(*line))
        }
        None => (None, None, None, None, None),
    };
    let rows = sqlx::query_as!(
        RejectedRow,
        // Of a day, the index takes what may be of it in any time zone.
        "select r.tenant_id, t.slug as tenant, r.dataset, r.origin, r.line, r.reason, r.content, r.job_id, r.rejected_at
         from msp.ingest_rejects r join identity.tenants t on t.id = r.tenant_id
         where ($1::uuid is null or r.tenant_id = $1) and ($2::text is null or r.dataset = $2)
           and ($3::uuid is null or r.job_id = $3)
           and ($4::date is null
               or r.rejected_at >= ($4::date - 1)::timestamp at time zone 'UTC'
                   and r.rejected_at < ($4::date + 2)::timestamp at time zone 'UTC'
                   and (r.rejected_at at time zone t.time_zone)::date = $4)
           and ($5::timestamptz is null
               or r.rejected_at <= $5
                   and (r.rejected_at < $5 or (r.dataset, r.tenant_id, r.origin, r.line) > ($6::text, $7::uuid, $8::text, $9::bigint)))
         order by r.rejected_at desc, r.dataset, r.tenant_id, r.origin, r.line limit $10",
        filter.tenant,
        filter.dataset.map(Dataset::name),
        filter.job,
        filter.date,
        at,
        dataset,
        tenant,
        origin,
        line,
        limit
    );
    Ok(rows.fetch(conn).boxed())
}
