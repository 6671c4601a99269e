//! Rows of sources that could not be taken, the newest first, each with the job that found it.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use az::SaturatingAs;
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use uuid::Uuid;
use weirgate_identity::Tenant;
use weirgate_identity::read_tx::ReadTx;
use weirgate_web::Web;
use weirgate_web::dashboard::form::{FilterForm, Given, TENANTS, Wrong, at_page};
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::sent::filled;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::suggest::Suggestions;
use weirgate_web::dashboard::when::When;
use weirgate_web::page::{Paging, cursor};
use weirgate_web::params::{Fields, FromQuery};
use weirgate_web::parse::TenantName;
use weirgate_web::problem::Problem;

use crate::rejects::{self, Filter, Place, RejectedRow};
use crate::sources::Dataset;

struct Row {
    when: When,
    tenant: String,
    dataset: String,
    origin: String,
    line: i64,
    reason: String,
    content: Option<String>,
    job: Uuid,
}

impl Row {
    fn new(row: RejectedRow, now: DateTime<Utc>) -> Self {
        let RejectedRow { tenant, dataset, origin, line, reason, content, job_id, rejected_at, .. } = row;
        let when = When::new(rejected_at, now);
        Self { when, tenant, dataset, origin, line, reason, content, job: job_id }
    }
}

fn form(given: &Given) -> FilterForm {
    let mut datasets = vec![("", "all")];
    datasets.extend(Dataset::ALL.into_iter().map(Dataset::name).map(|name| (name, name)));
    given.filter(vec![
        given.field("tenant_id", "Tenant").suggesting(TENANTS),
        given.field("dataset", "Dataset").choice(datasets),
        given.field("date", "Found on day (tenant's time zone)").day(),
        given.field("job_id", "Job").with_placeholder("id"),
    ])
}

#[derive(Template)]
#[template(path = "rejects.html")]
struct RejectsPage {
    frame: Frame,
    form: FilterForm,
    suggestions: Suggestions,
    is_filtered: bool,
    rows: Vec<Row>,
    next: Option<String>,
}

pub(super) async fn list(
    State(web): State<Web>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let pairs = filled(query.unwrap_or_default().as_bytes());
    let refuse = |refusal: Refusal| refusal.for_session(&session);
    let mut read = ReadTx::about_tenant(&web.pool).await.map_err(|error| refuse(error.into()))?;
    let suggestions = Suggestions::of_tenants(read.conn()).await.map_err(|problem| refuse(problem.into()))?;
    let mut shown = RejectsPage {
        frame: Frame::new(&session, "/rejects"),
        form: form(&Given::new(pairs.clone(), None)),
        suggestions,
        is_filtered: pairs.iter().any(|(name, _)| name != "cursor"),
        rows: Vec::new(),
        next: None,
    };
    match wanted(&mut read, &pairs).await {
        Ok((filter, paging)) => {
            let found = find(&mut read, &filter, &paging).await.map_err(|error| refuse(error.into()))?;
            shown.next = found.end.and_then(|end| Some(at_page(&pairs, "cursor", &cursor(&end)?)));
            shown.rows = found.rows;
            Ok(page(&shown))
        }
        Err(problem) => {
            let wrong = Wrong::of(problem, "tenant_id").map_err(refuse)?;
            shown.form = form(&Given::new(pairs, Some(&wrong)));
            Ok(wrong.page(&shown))
        }
    }
}

async fn wanted(read: &mut ReadTx, pairs: &[(String, String)]) -> Result<(Filter, Paging<Place>), Problem> {
    let mut fields = Fields::of_pairs(pairs.to_vec());
    let named: Option<TenantName> = fields.get("tenant_id");
    let mut tenant = None;
    if let Some(named) = named {
        tenant = Tenant::find(read.conn(), &named.0).await?.map(|tenant| tenant.id);
        if tenant.is_none() {
            fields.fail("tenant_id", format!("there is no tenant {:?}", named.0));
        }
    }
    let filter = Filter {
        tenant,
        dataset: fields.get("dataset"),
        date: fields.get("date"),
        job: fields.get("job_id"),
    };
    let paging = Paging::take(&mut fields);
    fields.finish(paging.map(|paging| (filter, paging)))
}

struct Found {
    rows: Vec<Row>,
    /// Where the page ended, if more follow.
    end: Option<Place>,
}

async fn find(read: &mut ReadTx, filter: &Filter, paging: &Paging<Place>) -> sqlx::Result<Found> {
    let now = sqlx::query_scalar!(r#"select queue.now() as "now!""#).fetch_one(read.conn()).await?;
    let rows = rejects::list(read.conn(), filter, paging.after.as_ref(), paging.rows()).await?;
    let mut rows: Vec<RejectedRow> = rows.try_collect().await?;
    let on_page = paging.limit().saturating_as::<usize>();
    let has_more = rows.len() > on_page;
    rows.truncate(on_page);
    let end = rows.last().filter(|_| has_more).map(RejectedRow::place);
    Ok(Found { rows: rows.into_iter().map(|row| Row::new(row, now)).collect(), end })
}
