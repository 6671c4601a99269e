//! `GET /v1/csat`.

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::Api;
use crate::http::auth::Tenant;
use crate::http::context::RequestContext;
use crate::http::date_range::{DateRange, DateRangeParams};
use crate::http::page::{Page, PagingParams};
use crate::http::params::Query;
use crate::http::problem::Problem;
use crate::http::tenant_tx::TenantTx;

/// A customer satisfaction survey.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CsatSurvey {
    /// Id in the source system.
    survey_id: String,
    /// The ticket it is about.
    #[schema(required = true)]
    ticket_id: Option<String>,
    /// On the source system's scale.
    score: f64,
    /// `positive`, `neutral` or `negative`, where the source says so.
    #[schema(required = true)]
    sentiment: Option<String>,
    /// What the customer wrote.
    #[schema(required = true)]
    comment: Option<String>,
    submitted_at: DateTime<Utc>,
    ingested_at: DateTime<Utc>,
}

/// Lists the surveys submitted in a range of days, newest first.
#[utoipa::path(
    get, path = "/v1/csat", tag = "Results", params(DateRangeParams, PagingParams),
    responses((status = 200, description = "A page of surveys", body = Page<CsatSurvey>))
)]
pub(crate) async fn list_csat(
    State(api): State<Api>,
    tenant: Tenant,
    context: RequestContext,
    Query(range): Query<DateRange<(DateTime<Utc>, String)>>,
) -> Result<Page<CsatSurvey>, Problem> {
    let mut tx = TenantTx::begin(&api.pool, &tenant).await?;
    let instants = tx.days(range.from, range.to).await?;
    let (after_time, after_id) = range.paging.after.clone().unzip();
    let rows = sqlx::query_as!(
        CsatSurvey,
        "select survey_id, ticket_id, score, sentiment, comment, submitted_at, ingested_at
         from raw_csat_surveys
         where submitted_at >= coalesce($1::timestamptz, '-infinity')
           and submitted_at < coalesce($2::timestamptz, 'infinity')
           and ($3::timestamptz is null or (submitted_at, survey_id) < ($3, $4::text))
         order by submitted_at desc, survey_id desc limit $5",
        instants.from,
        instants.until,
        after_time,
        after_id,
        range.paging.rows()
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(range.paging.page(rows, &context, |row| (row.submitted_at, row.survey_id.clone())))
}
