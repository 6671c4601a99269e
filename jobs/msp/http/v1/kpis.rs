//! `GET /v1/kpis/daily`.

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa::openapi::path::Parameter;
use weirgate_identity::tenant_tx::TenantTx;
use weirgate_web::auth::CallerTenant;
use weirgate_web::date_range::in_order;
use weirgate_web::page::Page;
use weirgate_web::params::{Fields, FromQuery};
use weirgate_web::problem::Problem;
use weirgate_web::query_params;
use weirgate_web::reads::Reads;
use weirgate_web::table::{Form, Listing, Row};

/// Most days at once.
pub const MOST_DAYS: i64 = 366;

/// KPIs of one day.
#[derive(Debug, Serialize, ToSchema)]
pub struct DailyKpis {
    /// The day, in the tenant's time zone.
    pub kpi_date: NaiveDate,
    /// Minutes worked on the day.
    pub total_minutes: i64,
    pub billable_minutes: i64,
    pub non_billable_minutes: i64,
    /// Mean minutes from creation to closing, over tickets closed on the day.
    #[schema(required = true)]
    pub avg_resolution_minutes: Option<f64>,
    /// Share of tickets closed on the day that have exactly one time entry.
    #[schema(required = true, minimum = 0, maximum = 1)]
    pub first_call_resolution_rate: Option<f64>,
    /// Mean score of surveys submitted on the day.
    #[schema(required = true)]
    pub avg_satisfaction_score: Option<f64>,
    pub tickets_created: i64,
    pub tickets_closed: i64,
    /// Created by the end of the day and not closed by then.
    pub tickets_open: i64,
    /// Created on the day with priority High or Critical.
    pub tickets_high_priority: i64,
    /// Whether the z-score is 3 or more either way.
    pub anomaly_detected: bool,
    /// Of `tickets_created`, against the 28 days before; null under 7 days of history.
    #[schema(required = true)]
    pub z_score: Option<f64>,
    pub computed_at: DateTime<Utc>,
}

impl DailyKpis {
    /// The days from `from` to `to` that were worked out, in order, of the tenant whose connection
    /// it is.
    pub async fn of_days(conn: &mut PgConnection, from: NaiveDate, to: NaiveDate) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            "select kpi_date, total_minutes, billable_minutes, non_billable_minutes, avg_resolution_minutes,
                first_call_resolution_rate, avg_satisfaction_score, tickets_created, tickets_closed, tickets_open,
                tickets_high_priority, anomaly_detected, z_score, computed_at
             from msp.kpi_daily where kpi_date between $1 and $2 order by kpi_date",
            from,
            to
        )
        .fetch_all(conn)
        .await
    }
}

query_params! {
    /// Days.
    struct KpiParams {
        /// One day; not together with `from` and `to`.
        #[param(example = "2026-01-31")]
        date: Option<NaiveDate>,
        /// The first day; together with `to`.
        from: Option<NaiveDate>,
        /// The last day, at most 366 days in all.
        to: Option<NaiveDate>,
    }
}

/// The first and the last day.
#[derive(Debug)]
pub(crate) struct KpiQuery {
    from: NaiveDate,
    to: NaiveDate,
}

impl FromQuery for KpiQuery {
    fn take(fields: &mut Fields) -> Option<Self> {
        let KpiParams { date, from, to } = KpiParams::take(fields)?;
        in_order(fields, from, to);
        if fields.has_failed() {
            // What is given but wrong is not missing.
            return None;
        }
        match (date, (from, to)) {
            (Some(date), (None, None)) => Some(Self { from: date, to: date }),
            (None, (Some(from), Some(to))) => {
                if (to - from).num_days() >= MOST_DAYS {
                    fields.fail("to", format!("more than {MOST_DAYS} days after from"));
                }
                Some(Self { from, to })
            }
            (Some(_), _) => {
                fields.fail("date", "expected either date, or from and to");
                None
            }
            (None, (from, _)) => {
                fields
                    .fail(if from.is_some() { "to" } else { "from" }, "expected either date, or from and to");
                None
            }
        }
    }

    fn parameters() -> Vec<Parameter> {
        KpiParams::parameters()
    }
}

/// Lists the tenant's KPIs, one item a day that was computed, in order.
#[utoipa::path(
    get, path = "/v1/kpis/daily", tag = "Results", params(Listing::<KpiQuery>),
    responses((
        status = 200, description = "The KPIs, all on one page",
        content((Page<DailyKpis> = "application/json"), (String = "text/csv"))
    ))
)]
pub(crate) async fn list_daily_kpis(
    State(reads): State<Reads>,
    tenant: CallerTenant,
    Listing { query: days, form }: Listing<KpiQuery>,
) -> Result<Response, Problem> {
    let tx = reads.under_tenant(tenant.id).await?;
    days.answer(tx, &tenant.slug, form).await
}

impl KpiQuery {
    /// Their KPIs, of the tenant whose read it is.
    pub(crate) async fn answer(&self, mut tx: TenantTx, slug: &str, form: Form) -> Result<Response, Problem> {
        let kpis = DailyKpis::of_days(tx.conn(), self.from, self.to).await?;
        form.answer(Page::whole(kpis), &format!("{slug}_kpis_{}_{}", self.from, self.to))
    }
}

impl Row for DailyKpis {
    const COLUMNS: &'static [&'static str] = &[
        "kpi_date",
        "total_minutes",
        "billable_minutes",
        "non_billable_minutes",
        "avg_resolution_minutes",
        "first_call_resolution_rate",
        "avg_satisfaction_score",
        "tickets_created",
        "tickets_closed",
        "tickets_open",
        "tickets_high_priority",
        "anomaly_detected",
        "z_score",
        "computed_at",
    ];
}
