//! `GET /v1/tickets`, `GET /v1/tickets/{cw_ticket_id}`.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use weirgate_web::auth::CallerTenant;
use weirgate_web::context::RequestContext;
use weirgate_web::extract::Path;
use weirgate_web::openapi;
use weirgate_web::page::{Page, Paging, bytes, next_url};
use weirgate_web::params::Query;
use weirgate_web::parse::Parse;
use weirgate_web::problem::Problem;
use weirgate_web::query_params;
use weirgate_web::reads::Reads;
use weirgate_web::table::{Listing, Row};

/// Tickets that are looked at for a page of those with one status.
const LONGEST: i64 = 2_500;

/// A ticket as the source system has it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ticket {
    /// Id in the source system.
    #[schema(example = "T-1001")]
    cw_ticket_id: String,
    /// Service board.
    #[schema(required = true)]
    board: Option<String>,
    /// As the source names it; whether it is closed is told by `closed_at`.
    status: String,
    /// `High` and `Critical` count as high, in any case of letters.
    priority: String,
    /// One line.
    #[schema(required = true)]
    summary: Option<String>,
    /// Full text.
    #[schema(required = true)]
    description: Option<String>,
    /// The end customer.
    #[schema(required = true)]
    company: Option<String>,
    /// Technician in charge.
    #[schema(required = true)]
    owner: Option<String>,
    /// When it was opened in the source system.
    created_at_remote: DateTime<Utc>,
    /// When it last changed there.
    updated_at_remote: DateTime<Utc>,
    /// When it counts as closed; null while open.
    #[schema(required = true)]
    closed_at: Option<DateTime<Utc>>,
    /// Service level as the source system sees it.
    #[schema(required = true)]
    sla_status: Option<String>,
    #[schema(required = true)]
    estimated_hours: Option<f64>,
    ingested_at: DateTime<Utc>,
    /// Whether it is the last one that a list looked at, though more may follow.
    #[serde(skip)]
    ends_walk: bool,
}

impl Row for Ticket {
    const COLUMNS: &'static [&'static str] = &[
        "cw_ticket_id",
        "board",
        "status",
        "priority",
        "summary",
        "description",
        "company",
        "owner",
        "created_at_remote",
        "updated_at_remote",
        "closed_at",
        "sla_status",
        "estimated_hours",
        "ingested_at",
    ];
}

/// A day or an instant.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Day(NaiveDate),
    At(DateTime<Utc>),
}

impl Moment {
    fn day(self) -> Option<NaiveDate> {
        if let Self::Day(day) = self { Some(day) } else { None }
    }

    fn at(self) -> Option<DateTime<Utc>> {
        if let Self::At(at) = self { Some(at) } else { None }
    }
}

impl Parse for Moment {
    fn parse(text: &str) -> Result<Self, String> {
        <NaiveDate as Parse>::parse(text)
            .map(Self::Day)
            .or_else(|_| <DateTime<Utc> as Parse>::parse(text).map(Self::At))
            .map_err(|_| "expected a date or an RFC 3339 time".to_owned())
    }
}

query_params! {
    /// Which tickets.
    pub(crate) struct TicketQuery {
        /// Status in the source system.
        #[param(min_length = 1, max_length = 2000, example = "Closed")]
        status: Option<String>,
        /// Opened on this day of the tenant's time zone or after; or at this time or after.
        #[param(schema_with = openapi::date_or_time)]
        created_from: Option<Moment>,
        /// Opened on this day or before; or before this time.
        #[param(schema_with = openapi::date_or_time)]
        created_to: Option<Moment>,
        ..paging: Paging<(DateTime<Utc>, String)>,
    }
}

/// Lists tickets, the newest first.
///
/// A page looks at a bounded number of tickets: where few have the `status` it can be short, or
/// empty, and `next` goes on from there.
#[utoipa::path(
    get, path = "/v1/tickets", tag = "Results", params(Listing::<TicketQuery>),
    responses((
        status = 200, description = "A page of tickets",
        content((Page<Ticket> = "application/json"), (String = "text/csv"))
    ))
)]
pub(crate) async fn list_tickets(
    State(reads): State<Reads>,
    tenant: CallerTenant,
    context: RequestContext,
    Listing { query, form }: Listing<TicketQuery>,
) -> Result<Response, Problem> {
    let TicketQuery { status, created_from, created_to, paging } = query;
    let mut tx = reads.under_tenant(tenant.id).await?;
    let days = tx.days(created_from.and_then(Moment::day), created_to.and_then(Moment::day)).await?;
    let until = days.until.or_else(|| created_to.and_then(Moment::at));
    let (before, before_id) = paging.before(until, |(at, id)| (at, id));
    let rows = sqlx::query_file_as!(
        Ticket,
        "http/v1/tickets.sql",
        days.from.or_else(|| created_from.and_then(Moment::at)),
        before,
        before_id,
        if status.is_some() { LONGEST } else { paging.rows() },
        status,
        paging.rows()
    )
    .fetch(tx.conn());
    let place = |row: &Ticket| (row.created_at_remote, row.cw_ticket_id.clone());
    let mut rows = paging.collect(rows, bytes).await?;
    // The walk's last ticket is there to tell where the next page goes on.
    let end = rows.rows.last().filter(|row| row.ends_walk && !rows.more).map(place);
    rows.rows.retain(|row| status.as_ref().is_none_or(|status| *status == row.status));
    let page = rows.page(&context, place);
    let next = end.and_then(|end| next_url(&end, &context)).or(page.next);
    form.answer(Page { next, items: page.items }, &format!("{}_tickets", tenant.slug))
}

/// Shows a ticket.
#[utoipa::path(
    get, path = "/v1/tickets/{cw_ticket_id}", tag = "Results",
    params(("cw_ticket_id" = String, Path, description = "Id in the source system", min_length = 1)),
    responses((status = 200, description = "The ticket", body = Ticket))
)]
pub(crate) async fn get_ticket(
    State(reads): State<Reads>,
    tenant: CallerTenant,
    Path(id): Path<String>,
    Query(()): Query<()>,
) -> Result<Json<Ticket>, Problem> {
    let mut tx = reads.under_tenant(tenant.id).await?;
    let ticket = sqlx::query_as!(
        Ticket,
        r#"select cw_ticket_id, board, status, priority, summary, description, company, owner, created_at_remote,
            updated_at_remote, closed_at, sla_status, estimated_hours, ingested_at, false as "ends_walk!"
         from msp.raw_tickets where cw_ticket_id = $1"#,
        known_form(&id)?
    )
    .fetch_optional(tx.conn())
    .await?;
    ticket.map(Json).ok_or_else(|| unknown_ticket(&id))
}

/// The id, unless Postgres could not hold it.
pub(crate) fn known_form(id: &str) -> Result<&str, Problem> {
    if id.contains('\0') { Err(unknown_ticket(id)) } else { Ok(id) }
}

pub(crate) fn unknown_ticket(id: &str) -> Problem {
    Problem::not_found("unknown_ticket", "Unknown ticket", format!("no ticket {id:?}"))
}
