//! A tenant's KPIs day by day, as lines and as numbers.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use chrono::{Days, NaiveDate};
use weirgate_jobs::Tenant;

use super::plot::{Line, Marked, Plot, Unit};
use super::session::{Session, filled};
use super::view::{Frame, Refusal, page};
use crate::http::date_range::take_days;
use crate::http::params::{Fields, TenantName};
use crate::http::problem::Problem;
use crate::http::tenant_tx::TenantTx;
use crate::http::v1::kpis::{DailyKpis, MOST_DAYS};
use crate::http::{Api, auth};

/// Days that are shown where none are asked for.
const USUAL: u64 = 60;

/// Tenants that are offered by name.
const OFFERED: i64 = 100;

/// A day of the table.
struct Row {
    day: NaiveDate,
    link: String,
    values: Vec<String>,
    unusual: Option<String>,
}

#[derive(Template)]
#[template(path = "kpis.html")]
struct KpisPage {
    frame: Frame,
    tenants: Vec<String>,
    tenant: String,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    plots: Vec<Plot>,
    columns: Vec<String>,
    rows: Vec<Row>,
}

/// What is asked for.
struct Asked {
    tenant: Option<TenantName>,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
}

impl Asked {
    fn of(query: Option<&str>) -> Result<Self, Problem> {
        let mut fields = Fields::of_pairs(filled(query.unwrap_or_default().as_bytes()));
        let tenant = fields.get("tenant_id");
        let (from, to) = take_days(&mut fields);
        if from.zip(to).is_some_and(|(from, to)| (to - from).num_days() >= MOST_DAYS) {
            fields.fail("to", format!("more than {MOST_DAYS} days after from"));
        }
        fields.finish(Some(Self { tenant, from, to }))
    }

    /// The days, both included: those asked for, or the last ones that there are KPIs of.
    fn days(&self, newest: Option<NaiveDate>) -> Option<(NaiveDate, NaiveDate)> {
        let most = Days::new(MOST_DAYS.unsigned_abs() - 1);
        let to = self.to.or_else(|| Some(self.from?.checked_add_days(most)?.min(newest?.max(self.from?))));
        let to = to.or(newest)?;
        Some((self.from.or_else(|| to.checked_sub_days(Days::new(USUAL - 1)))?, to))
    }
}

pub(super) async fn show(
    State(api): State<Api>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let page = make(&api, &session, query.as_deref()).await;
    page.map_err(|problem| Refusal::from(problem).for_session(&session))
}

async fn make(api: &Api, session: &Session, query: Option<&str>) -> Result<Response, Problem> {
    let asked = Asked::of(query)?;
    let mut conn = api.pool.acquire().await?;
    let tenants =
        sqlx::query_scalar!("select slug from tenants where is_active order by slug limit $1", OFFERED)
            .fetch_all(&mut *conn)
            .await?;
    let name = asked.tenant.as_ref().map(|tenant| &tenant.0).or(tenants.first());
    let mut answer = KpisPage {
        frame: Frame::new(session, "/kpis"),
        tenant: name.cloned().unwrap_or_default(),
        from: asked.from,
        to: asked.to,
        plots: Vec::new(),
        columns: Vec::new(),
        rows: Vec::new(),
        tenants,
    };
    if !answer.tenant.is_empty() {
        let tenant = Tenant::find(&mut conn, &answer.tenant).await?;
        drop(conn);
        let tenant = tenant.ok_or_else(|| Problem::unknown_tenant(&answer.tenant))?;
        answer.fill(api, &asked, &tenant).await?;
    }
    Ok(page(&answer))
}

impl KpisPage {
    fn unusual_days(&self) -> Vec<&Row> {
        self.rows.iter().filter(|row| row.unusual.is_some()).collect()
    }

    async fn fill(&mut self, api: &Api, asked: &Asked, tenant: &Tenant) -> Result<(), Problem> {
        // Read as the tenant itself does.
        let tenant = auth::Tenant { id: tenant.id, slug: tenant.slug.0.as_str().into() };
        let mut tx = TenantTx::of_operator(&api.pool, &tenant).await?;
        let newest = sqlx::query_scalar!("select max(kpi_date) from kpi_daily").fetch_one(tx.conn()).await?;
        let Some((from, to)) = asked.days(newest) else { return Ok(()) };
        (self.from, self.to) = (Some(from), Some(to));
        let kpis = DailyKpis::of_days(tx.conn(), from, to).await?;
        let days: Vec<NaiveDate> = from.iter_days().take_while(|day| *day <= to).collect();
        let slug = &tenant.slug;
        let link = |day: NaiveDate| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("tenant_id", slug).append_pair("kind", "compute_kpi");
            query.append_pair("date", &day.to_string());
            format!("/dashboard/jobs?{}", query.finish())
        };
        let series = series();
        self.columns =
            series.iter().map(|series| format!("{}, {}", series.name, series.unit.name())).collect();
        self.rows = kpis.iter().rev().map(|kpi| Row::new(kpi, &series, link(kpi.kpi_date))).collect();
        let mut by_day: Vec<Option<&DailyKpis>> = vec![None; days.len()];
        for kpi in &kpis {
            if let Ok(at) = usize::try_from((kpi.kpi_date - from).num_days()) {
                by_day[at] = Some(kpi);
            }
        }
        let marked: Vec<Marked> = by_day
            .iter()
            .enumerate()
            .filter_map(|(day, kpi)| Some(Marked { day, why: unusual(kpi.as_ref()?)? }))
            .collect();
        for (title, unit) in PLOTS {
            let of_it = series.iter().filter(|series| series.plot == title);
            let lines: Vec<Line> = of_it
                .map(|series| Line {
                    name: series.name,
                    values: by_day.iter().map(|kpi| kpi.and_then(series.value)).collect(),
                })
                .collect();
            let marked = if title == NEW_AND_CLOSED { &marked[..] } else { &[] };
            self.plots.push(Plot::new(title, unit, &days, &lines, marked, link));
        }
        Ok(())
    }
}

const NEW_AND_CLOSED: &str = "New and closed";

const PLOTS: [(&str, Unit); 6] = [
    (NEW_AND_CLOSED, Unit::Tickets),
    ("Open and of high priority", Unit::Tickets),
    ("Time worked", Unit::Hours),
    ("Mean time to resolution", Unit::Hours),
    ("First call resolution", Unit::Percent),
    ("Satisfaction", Unit::Score),
];

/// A KPI over the days.
struct Series {
    plot: &'static str,
    name: &'static str,
    unit: Unit,
    value: fn(&DailyKpis) -> Option<f64>,
}

#[expect(clippy::cast_precision_loss, reason = "numbers of tickets and minutes are far below 2^52")]
fn series() -> [Series; 10] {
    let of = |plot: usize, name, value| Series { plot: PLOTS[plot].0, name, unit: PLOTS[plot].1, value };
    [
        of(0, "created", |kpi| Some(kpi.tickets_created as f64)),
        of(0, "closed", |kpi| Some(kpi.tickets_closed as f64)),
        of(1, "open", |kpi| Some(kpi.tickets_open as f64)),
        of(1, "new of high priority", |kpi| Some(kpi.tickets_high_priority as f64)),
        of(2, "worked", |kpi| Some(kpi.total_minutes as f64 / 60.0)),
        of(2, "billable", |kpi| Some(kpi.billable_minutes as f64 / 60.0)),
        of(2, "not billable", |kpi| Some(kpi.non_billable_minutes as f64 / 60.0)),
        of(3, "to resolution", |kpi| kpi.avg_resolution_minutes.map(|minutes| minutes / 60.0)),
        of(4, "resolved at the first call", |kpi| kpi.first_call_resolution_rate.map(|rate| rate * 100.0)),
        of(5, "satisfaction", |kpi| kpi.avg_satisfaction_score),
    ]
}

/// Why a day is out of the ordinary.
fn unusual(kpi: &DailyKpis) -> Option<String> {
    let score = kpi.z_score.filter(|_| kpi.anomaly_detected)?;
    Some(format!("unusual: {}", out_of_the_ordinary(score)))
}

/// How far from the ordinary a standard score is.
pub(super) fn out_of_the_ordinary(score: f64) -> String {
    let way = if score > 0.0 { "above" } else { "below" };
    format!("{:.1} deviations {way} the 28 days before", score.abs())
}

impl Row {
    fn new(kpi: &DailyKpis, series: &[Series], link: String) -> Self {
        let say = |series: &Series| {
            (series.value)(kpi).map_or_else(|| "–".to_owned(), |value| series.unit.say(value))
        };
        Self { day: kpi.kpi_date, link, values: series.iter().map(say).collect(), unusual: unusual(kpi) }
    }
}
