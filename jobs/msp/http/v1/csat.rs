//! `GET /v1/csat`.

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use weirgate_web::auth::CallerTenant;
use weirgate_web::context::RequestContext;
use weirgate_web::date_range::DateRange;
use weirgate_web::page::{Page, bytes};
use weirgate_web::problem::Problem;
use weirgate_web::reads::Reads;
use weirgate_web::table::{Listing, Row};

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

impl Row for CsatSurvey {
    const COLUMNS: &'static [&'static str] =
        &["survey_id", "ticket_id", "score", "sentiment", "comment", "submitted_at", "ingested_at"];
}

/// Lists the surveys submitted in a range of days, newest first.
#[utoipa::path(
    get, path = "/v1/csat", tag = "Results", params(Listing::<DateRange<(DateTime<Utc>, String)>>),
    responses((
        status = 200, description = "A page of surveys",
        content((Page<CsatSurvey> = "application/json"), (String = "text/csv"))
    ))
)]
pub(crate) async fn list_csat(
    State(reads): State<Reads>,
    tenant: CallerTenant,
    context: RequestContext,
    Listing { query: range, form }: Listing<DateRange<(DateTime<Utc>, String)>>,
) -> Result<Response, Problem> {
    let mut tx = reads.under_tenant(tenant.id).await?;
    let instants = tx.days(range.from, range.to).await?;
    let (before, before_id) = range.paging.before(instants.until, |(at, id)| (at, id));
    let rows = sqlx::query_as!(
        CsatSurvey,
        "select survey_id, ticket_id, score, sentiment, comment, submitted_at, ingested_at
         from msp.raw_csat_surveys
         where (submitted_at, survey_id) >= (coalesce($1::timestamptz, '-infinity'), '')
           and (submitted_at, survey_id) < (coalesce($2::timestamptz, 'infinity'), $3)
         order by submitted_at desc, survey_id desc limit $4",
        instants.from,
        before,
        before_id,
        range.paging.rows()
    )
    .fetch(tx.conn());
    let rows = range.paging.collect(rows, bytes).await?;
    let page = rows.page(&context, |row| (row.submitted_at, row.survey_id.clone()));
    form.answer(page, &format!("{}_csat", tenant.slug))
}
