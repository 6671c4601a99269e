//! `GET /v1/security-alerts`.

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

/// An alert of a security product.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecurityAlert {
    /// The product.
    #[schema(example = "sentinelone")]
    source: String,
    /// Id in that product.
    alert_id: String,
    /// As the product says.
    severity: String,
    /// What was seen.
    #[schema(required = true)]
    title: Option<String>,
    /// Where it was seen.
    #[schema(required = true)]
    device: Option<String>,
    /// State of its handling.
    status: String,
    detected_at: DateTime<Utc>,
    ingested_at: DateTime<Utc>,
}

impl Row for SecurityAlert {
    const COLUMNS: &'static [&'static str] =
        &["source", "alert_id", "severity", "title", "device", "status", "detected_at", "ingested_at"];
}

/// Lists the alerts detected in a range of days, newest first.
#[utoipa::path(
    get, path = "/v1/security-alerts", tag = "Results", params(Listing::<DateRange<(DateTime<Utc>, String, String)>>),
    responses((
        status = 200, description = "A page of alerts",
        content((Page<SecurityAlert> = "application/json"), (String = "text/csv"))
    ))
)]
pub(crate) async fn list_security_alerts(
    State(reads): State<Reads>,
    tenant: CallerTenant,
    context: RequestContext,
    Listing { query: range, form }: Listing<DateRange<(DateTime<Utc>, String, String)>>,
) -> Result<Response, Problem> {
    let mut tx = reads.under_tenant(tenant.id).await?;
    let instants = tx.days(range.from, range.to).await?;
    let (before, (before_source, before_id)) =
        range.paging.before(instants.until, |(at, source, id)| (at, (source, id)));
    let rows = sqlx::query_as!(
        SecurityAlert,
        "select source, alert_id, severity, title, device, status, detected_at, ingested_at
         from msp.raw_security_alerts
         where (detected_at, source, alert_id) >= (coalesce($1::timestamptz, '-infinity'), '', '')
           and (detected_at, source, alert_id) < (coalesce($2::timestamptz, 'infinity'), $3, $4)
         order by detected_at desc, source desc, alert_id desc limit $5",
        instants.from,
        before,
        before_source,
        before_id,
        range.paging.rows()
    )
    .fetch(tx.conn());
    let rows = range.paging.collect(rows, bytes).await?;
    let page = rows.page(&context, |row| (row.detected_at, row.source.clone(), row.alert_id.clone()));
    form.answer(page, &format!("{}_security_alerts", tenant.slug))
}
