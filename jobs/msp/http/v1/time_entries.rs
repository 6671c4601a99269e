//! `GET /v1/time-entries`.

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use weirgate_web::auth::CallerTenant;
use weirgate_web::context::RequestContext;
use weirgate_web::date_range::DateRange;
use weirgate_web::page::{Page, bytes};
use weirgate_web::problem::Problem;
use weirgate_web::reads::Reads;
use weirgate_web::table::{Listing, Row};

/// Time worked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TimeEntry {
    /// Id in the source system.
    cw_time_entry_id: String,
    /// The ticket it was booked on.
    #[schema(required = true)]
    cw_ticket_id: Option<String>,
    /// Who worked.
    #[schema(required = true)]
    member: Option<String>,
    /// Kind of work.
    #[schema(required = true)]
    work_type: Option<String>,
    billable: bool,
    minutes: i32,
    /// What was done.
    #[schema(required = true)]
    notes: Option<String>,
    /// The day, in the tenant's time zone.
    date_worked: NaiveDate,
    ingested_at: DateTime<Utc>,
}

impl Row for TimeEntry {
    const COLUMNS: &'static [&'static str] = &[
        "cw_time_entry_id",
        "cw_ticket_id",
        "member",
        "work_type",
        "billable",
        "minutes",
        "notes",
        "date_worked",
        "ingested_at",
    ];
}

/// Lists the time worked in a range of days, newest first.
#[utoipa::path(
    get, path = "/v1/time-entries", tag = "Results", params(Listing::<DateRange<(NaiveDate, String)>>),
    responses((
        status = 200, description = "A page of time entries",
        content((Page<TimeEntry> = "application/json"), (String = "text/csv"))
    ))
)]
pub(crate) async fn list_time_entries(
    State(reads): State<Reads>,
    tenant: CallerTenant,
    context: RequestContext,
    Listing { query: range, form }: Listing<DateRange<(NaiveDate, String)>>,
) -> Result<Response, Problem> {
    let mut tx = reads.under_tenant(tenant.id).await?;
    // The days are whole ones, both of the ends included.
    let until = range.to.and_then(|to| to.succ_opt());
    let (before, before_id) = range.paging.before(until, |(day, id)| (day, id));
    let rows = sqlx::query_as!(
        TimeEntry,
        "select cw_time_entry_id, cw_ticket_id, member, work_type, billable, minutes, notes, date_worked, ingested_at
         from msp.raw_time_entries
         where (date_worked, cw_time_entry_id) >= (coalesce($1::date, '-infinity'), '')
           and (date_worked, cw_time_entry_id) < (coalesce($2::date, 'infinity'), $3)
         order by date_worked desc, cw_time_entry_id desc limit $4",
        range.from,
        before,
        before_id,
        range.paging.rows()
    )
    .fetch(tx.conn());
    let rows = range.paging.collect(rows, bytes).await?;
    let page = rows.page(&context, |row| (row.date_worked, row.cw_time_entry_id.clone()));
    form.answer(page, &format!("{}_time_entries", tenant.slug))
}
