//! A tenant's KPIs day by day, as lines and as numbers.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use chrono::{Days, NaiveDate};
use weirgate_identity::Tenant;
use weirgate_identity::tenant_tx::TenantTx;
use weirgate_web::Web;
use weirgate_web::dashboard::form::{Field, Given, TENANTS, Wrong};
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::plot::{Line, Marked, Plot, Unit};
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::sent::filled;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::suggest::Suggestions;
use weirgate_web::date_range::in_order;
use weirgate_web::params::Fields;
use weirgate_web::parse::TenantName;
use weirgate_web::problem::Problem;

use crate::http::{DailyKpis, MOST_DAYS};

/// Days that are shown where none are asked for.
const USUAL: u64 = 60;

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
    tenant: String,
    form: Form,
    suggestions: Suggestions,
    plots: Vec<Plot>,
    columns: Vec<String>,
    rows: Vec<Row>,
}

/// What the page is asked for with.
struct Form {
    fields: [Field; 3],
    /// What is wrong beside them.
    others: Vec<String>,
    is_wrong: bool,
}

impl Form {
    fn new(pairs: Vec<(String, String)>, wrong: Option<&Wrong>) -> Self {
        let given = Given::new(pairs, wrong);
        let fields = [
            given.field("tenant_id", "Tenant").suggesting(TENANTS),
            given.field("from", "First day").day(),
            given.field("to", "Last day").day(),
        ];
        Self { others: given.elsewhere(&fields.each_ref()), fields, is_wrong: wrong.is_some() }
    }
}

/// What is asked for.
struct Asked {
    tenant: Option<TenantName>,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
}

impl Asked {
    fn of(pairs: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut fields = Fields::of_pairs(pairs);
        let tenant = fields.get("tenant_id");
        let (from, to) = (fields.get("from"), fields.get("to"));
        in_order(&mut fields, from, to);
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
    State(web): State<Web>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let refuse = |refusal: Refusal| refusal.for_session(&session);
    let pairs = filled(query.unwrap_or_default().as_bytes());
    let suggestions = Suggestions::of_tenants(&mut *web.pool.acquire().await?).await?;
    let mut answer = KpisPage {
        frame: Frame::new(&session, "/kpis"),
        tenant: String::new(),
        form: Form::new(pairs.clone(), None),
        suggestions,
        plots: Vec::new(),
        columns: Vec::new(),
        rows: Vec::new(),
    };
    match answer.make(&web, pairs.clone()).await {
        Ok(()) => Ok(page(&answer)),
        Err(problem) => {
            let wrong = Wrong::of(problem, "tenant_id").map_err(refuse)?;
            answer.form = Form::new(pairs, Some(&wrong));
            Ok(wrong.page(&answer))
        }
    }
}

impl KpisPage {
    fn unusual_days(&self) -> Vec<&Row> {
        self.rows.iter().filter(|row| row.unusual.is_some()).collect()
    }

    async fn make(&mut self, web: &Web, pairs: Vec<(String, String)>) -> Result<(), Problem> {
        let asked = Asked::of(pairs)?;
        let name = asked.tenant.as_ref().map(|tenant| &tenant.0).or(self.suggestions.tenants.first());
        let Some(name) = name else { return Ok(()) };
        let tenant = Tenant::find(&mut *web.pool.acquire().await?, name).await?;
        let tenant = tenant.ok_or_else(|| Problem::unknown_tenant(name))?;
        self.tenant.clone_from(name);
        self.fill(web, &asked, &tenant).await
    }

    async fn fill(&mut self, web: &Web, asked: &Asked, tenant: &Tenant) -> Result<(), Problem> {
        // Read as the tenant itself does.
        let mut tx = TenantTx::of_operator(&web.pool, tenant.id).await?;
        let newest =
            sqlx::query_scalar!("select max(kpi_date) from msp.kpi_daily").fetch_one(tx.conn()).await?;
        let tenant_id = || ("tenant_id".to_owned(), self.tenant.clone());
        let Some((from, to)) = asked.days(newest) else {
            self.form = Form::new(vec![tenant_id()], None);
            return Ok(());
        };
        let days = [("from".to_owned(), from.to_string()), ("to".to_owned(), to.to_string())];
        self.form = Form::new([vec![tenant_id()], days.into()].concat(), None);
        let kpis = DailyKpis::of_days(tx.conn(), from, to).await?;
        let days: Vec<NaiveDate> = from.iter_days().take_while(|day| *day <= to).collect();
        let slug = &tenant.slug.0;
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
    ("Open and high priority", Unit::Tickets),
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
        of(1, "new with high priority", |kpi| Some(kpi.tickets_high_priority as f64)),
        of(2, "worked", |kpi| Some(kpi.total_minutes as f64 / 60.0)),
        of(2, "billable", |kpi| Some(kpi.billable_minutes as f64 / 60.0)),
        of(2, "non-billable", |kpi| Some(kpi.non_billable_minutes as f64 / 60.0)),
        of(3, "to resolution", |kpi| kpi.avg_resolution_minutes.map(|minutes| minutes / 60.0)),
        of(4, "resolved on first call", |kpi| kpi.first_call_resolution_rate.map(|rate| rate * 100.0)),
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
    format!("{:.1} standard deviations {way} the 28 days before", score.abs())
}

impl Row {
    fn new(kpi: &DailyKpis, series: &[Series], link: String) -> Self {
        let say = |series: &Series| {
            (series.value)(kpi).map_or_else(|| "–".to_owned(), |value| series.unit.say(value))
        };
        Self { day: kpi.kpi_date, link, values: series.iter().map(say).collect(), unusual: unusual(kpi) }
    }
}
